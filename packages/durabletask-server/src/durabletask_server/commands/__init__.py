"""What the command line does beside running a server: one module a sub-command, imported when it is called."""

from __future__ import annotations

COMMANDS = {"health": "durabletask_server.commands.health", "history": "durabletask_server.commands.history"}
"""The module of each sub-command; it has `main`, which takes the arguments and gives the exit code."""
