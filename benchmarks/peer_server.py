"""PyPI `durabletask`'s in-memory backend, which its makers ship for tests, as a server.

    .venv-peer/bin/python benchmarks/peer_server.py 4001

It has ten threads, and a client that waits takes one for as long as it waits: ten waiting clients and nothing goes on. The
load has a hundred, so it gets more threads here; nothing else about it is changed.
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import signal
import sys
from concurrent import futures

from durabletask.testing import create_test_backend

THREADS = 128


class _EnoughThreads(futures.ThreadPoolExecutor):
    def __init__(self, max_workers: int) -> None:
        super().__init__(max_workers=max(max_workers, THREADS))


if __name__ == "__main__":
    futures.ThreadPoolExecutor = _EnoughThreads
    backend = create_test_backend(port=int(sys.argv[1]), max_history_size=1_000_000)
    backend.start()
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    backend.stop(0)
