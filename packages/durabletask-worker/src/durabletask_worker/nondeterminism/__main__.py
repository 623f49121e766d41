"""`python -m durabletask_worker.nondeterminism`: the linter."""

import sys

from durabletask_worker.nondeterminism.command import main

if __name__ == "__main__":
    sys.exit(main())
