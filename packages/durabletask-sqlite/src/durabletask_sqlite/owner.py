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


_BEGINNING = b'{"pid": '
_MOST = 4096


class OwnerLock:
    """Ownership of a database file, from construction to `release`.

    Args:
        database: The database file; the lock is on `<database>.lock`, which stays.
        now: Tells the time in words, for whoever finds the lock taken.

    Raises:
        AlreadyOwnedError: A live process has it; the error names it.
        LocationError: The lock file cannot be made, or a file of that name holds something else.
    """

    def __init__(self, database: Path, now: Callable[[], str]) -> None:
        path = database.with_name(database.name + ".lock")

        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise LocationError(f"cannot make {path}: {error.strerror}") from error

        try:
            if not _try_lock(self._descriptor):
                raise AlreadyOwnedError(str(database), _holder(self._read()))

            # A name in use for something else, such as uv.lock, is not to be overwritten.
            if self._read().strip(b"\x00") and not self._read().startswith(_BEGINNING):
                raise LocationError(f"{path} exists and is no owner lock of a database; choose another path")

            self._write({"pid": os.getpid(), "host": socket.gethostname(), "since": now()})
        except OSError as error:
            os.close(self._descriptor)
            raise LocationError(f"cannot lock {path}: {error.strerror}") from error
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Give it up."""
        os.close(self._descriptor)

    def _read(self) -> bytes:
        os.lseek(self._descriptor, 0, os.SEEK_SET)

        return os.read(self._descriptor, _MOST)

    def _write(self, holder: dict[str, object]) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, json.dumps(holder).encode())


def _holder(text: bytes) -> str:
    try:
        known = json.loads(text)

        return f"process {known['pid']} on {known['host']} since {known['since']}"
    except (ValueError, KeyError, TypeError):
        # It has the lock, and has not said yet who it is.
        return "another process"
