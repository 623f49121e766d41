"""Ready work to workers, from memory: `queue` orders it, `stream` is one connected worker, `dispatcher` matches the two, `timers`
says when a delayed message is due."""
