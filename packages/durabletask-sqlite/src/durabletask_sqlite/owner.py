"""The owner lock: one process a database file.

The lock is on a file beside the database, never on the database itself: closing any descriptor of a file drops a process's POSIX locks
on it, SQLite's own among them. The operating system drops the lock when its holder dies, however it dies.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from durabletask_backend.errors import AlreadyOwnedError, LocationError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        # Beyond the text, so that others can read who holds it.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False

        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False

        return True


class OwnerLock:
    """Ownership of a database file, from construction to `release`.

    Args:
        database: The database file; the lock is on `<database>.lock`, which stays.
        now: Tells the time in words, for whoever finds the lock taken.

    Raises:
        AlreadyOwnedError: A live process has it; the error names it.
        LocationError: The lock file cannot be made.
    """

    def __init__(self, database: Path, now: Callable[[], str]) -> None:
        path = database.with_name(database.name + ".lock")

        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LocationError(f"cannot make {path}: {error.strerror}") from error

        if not _try_lock(self._descriptor):
            holder = _holder(self._descriptor)
            os.close(self._descriptor)
            raise AlreadyOwnedError(str(database), holder)

        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now()}).encode()
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text)

    def release(self) -> None:
        """Give it up."""
        os.close(self._descriptor)


def _holder(descriptor: int) -> str:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        known = json.loads(os.read(descriptor, 4096))

        return f"process {known['pid']} on {known['host']} since {known['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"
