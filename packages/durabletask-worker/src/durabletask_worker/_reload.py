"""Runs a worker in a process of its own, and anew whenever its code changes."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

__all__ = ["Supervisor", "files_under", "roots_of"]

_POLL = 0.3
"""Seconds between two looks at the files."""
_SLACK = 5.0
"""Seconds beyond its grace period after which a process is killed."""

_NO_CODE = frozenset({"__pycache__", "node_modules", "site-packages"})

Stamps = Mapping[Path, tuple[int, int]]
"""When files were written last, and their sizes."""


def roots_of(target: str) -> list[Path]:
    """Say where the code of a module may be: in the current directory, and beside the module.

    Args:
        target: `module` or `module:name`. The module is not imported.

    Returns:
        Directories.
    """
    roots = [Path.cwd()]

    try:
        spec = importlib.util.find_spec(target.partition(":")[0].partition(".")[0])
    except (ImportError, ValueError):
        spec = None

    for place in spec.submodule_search_locations or [str(Path(spec.origin).parent)] if spec and spec.origin else ():
        path = Path(place).resolve()

        if path.is_dir() and not _NO_CODE.intersection(path.parts) and not path.is_relative_to(roots[0]):
            roots.append(path)

    return roots


def files_under(roots: Sequence[Path]) -> Stamps:
    """Look at the Python files under directories, but for environments and what is hidden.

    Args:
        roots: The directories.

    Returns:
        The files, and their stamps.
    """
    stamps: dict[Path, tuple[int, int]] = {}

    for root in roots:
        for path in _python_files(root):
            try:
                status = path.stat()
            except OSError:
                continue

            stamps[path] = (status.st_mtime_ns, status.st_size)

    return stamps


def _python_files(root: Path) -> Iterator[Path]:
    for directory, directories, files in os.walk(root):
        if "pyvenv.cfg" in files:
            directories.clear()

            continue

        directories[:] = [name for name in directories if name not in _NO_CODE and not name.startswith(".")]

        for name in files:
            if name.endswith(".py"):
                yield Path(directory, name)


class Supervisor:
    """Keeps a process running that hosts a worker.

    The process is asked to drain by the end of its standard input, which works on every system, and when this process dies, too.

    Args:
        command: Starts the process.
        roots: Where its code is.
        grace: Seconds that it may take to drain.
        logger: Where news go.
        look: Looks at the files.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        roots: Sequence[Path],
        grace: float,
        logger: logging.Logger,
        look: Callable[[Sequence[Path]], Stamps] = files_under,
    ) -> None:
        self._command = command
        self._roots = roots
        self._grace = grace
        self._logger = logger
        self._look = look
        self._signals = 0
        self._woken = threading.Event()

    def run(self) -> int:
        """Run the process until SIGTERM or SIGINT; a second one kills it. To be called in the main thread.

        Returns:
            The exit code: that of the process if it was asked to end.
        """
        before = {number: signal.signal(number, self._note_signal) for number in (signal.SIGTERM, signal.SIGINT)}

        try:
            return self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        seen = self._look(self._roots)
        process = self._start()
        has_ended = False

        while not self._signals:
            self._woken.wait(_POLL)

            if not has_ended and process.poll() is not None:
                has_ended = True
                self._logger.warning(
                    "the worker ended with exit code %d; it starts anew with the next change", process.returncode
                )

            found = self._look(self._roots)

            if found == seen or self._signals:
                continue

            changed = sorted(str(path) for path in {**found, **seen} if found.get(path) != seen.get(path))
            self._logger.info("%s changed: starting anew", ", ".join(changed[:3]) + (" …" if changed[3:] else ""))
            code = self._end(process)

            if self._signals:
                return code

            seen = self._look(self._roots)
            process, has_ended = self._start(), False

        return self._end(process)

    def _start(self) -> subprocess.Popen[bytes]:
        # In a group of its own: Ctrl-C is for this process alone, which passes it on.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        if process.stdin is not None:
            process.stdin.close()

        signals, deadline = self._signals, time.monotonic() + self._grace + _SLACK

        while process.poll() is None:
            if self._signals > max(signals, 1) or time.monotonic() > deadline:
                process.kill()
                process.wait()

            time.sleep(0.01)

        return process.returncode

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._woken.set()
