"""`python -m durabletask_worker`, the same as `durabletask-worker`."""

from durabletask_worker.cli import entry

if __name__ == "__main__":
    entry()
