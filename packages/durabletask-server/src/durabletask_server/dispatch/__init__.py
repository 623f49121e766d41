"""Ready work to workers, from memory: `filters` says what a worker wants and `crews` who wants the same, `lanes` keeps ready work by
who can do it and `queue` orders it, `stream` is one connected worker, `dispatcher` matches work and workers, `encoding` makes what is
sent, `timers` says when a delayed message is due."""
