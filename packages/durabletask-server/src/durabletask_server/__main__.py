"""`python -m durabletask_server`."""

from __future__ import annotations

import sys

from durabletask_server.cli import main

sys.exit(main())
