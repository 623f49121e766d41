"""The journal: gathers the decisions of many instances into batches, and commits one batch at a time.

Nothing leaves the process on the strength of a decision before its batch is committed: what follows from one is done in the
`applied` callback, in the order of the batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from durabletask_backend.contract import Backend
from durabletask_backend.errors import BackendError, LeaseLostError, StorageFailedError
from durabletask_backend.mutations import (
    AppendMessage,
    Batch,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Mutation,
    Outcome,
)
from durabletask_backend.values import Lease

from durabletask_server.measures import Measures

log = logging.getLogger(__name__)


_FAILING = 10.0
"""Seconds after which a failure says nothing of the store any more."""
_OVERHEAD = 1000
"""About how many bytes a mutation takes besides its payload."""


class JournalFullError(Exception):
    """More is waiting to be committed than the journal may hold; ask again later."""


class JournalClosedError(Exception):
    """The server is stopping and commits nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """How batches are made."""

    batch_limit: int = 500
    """Mutations a batch; 1 is a commit per mutation, which only a benchmark wants."""
    linger: float = 0.003
    """Seconds to wait for more before a commit, under load only."""
    loaded: int = 5
    """The server is under load when at least so many mutations came while the last batch was committed: from callers, that is, who did
    not wait for it. To linger would only slow down a few callers who each wait for an answer before they ask for more."""
    capacity: int = 64 << 20
    """Bytes that may wait, about."""
    ask_again: float = 0.2
    """Seconds between two questions to a store that does not answer what became of a batch."""


@dataclass(slots=True)
class _Entry:
    mutation: Mutation
    applied: Callable[[Outcome], None]
    failed: Callable[[Exception], None]
    result: asyncio.Future[Outcome]
    size: int


class Journal:
    """Commits mutations in groups.

    Args:
        backend: Where to, opened.
        lease: Under which lease.
        name: Begins the id of every batch; unique to this process.
        settings: How batches are made.
        piggyback: Asked, before each commit, for mutations that are worth no commit of their own.
        measures: Is told of commits; None for nobody.
    """

    def __init__(
        self,
        backend: Backend,
        lease: Lease,
        name: str,
        settings: JournalSettings,
        *,
        piggyback: Callable[[], Sequence[Mutation]] = tuple,
        measures: Measures | None = None,
    ) -> None:
        self._backend = backend
        self._lease = lease
        self._name = name
        self._batches = 0
        self._settings = settings
        self._piggyback = piggyback
        self._measures = measures or Measures()
        self._entries: deque[_Entry] = deque()
        self._waiting = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self._failed_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to commit.

        Returns:
            The task that does it. It ends when the journal is closed, and fails when the lease is lost.
        """
        self._task = asyncio.create_task(self._run(), name="journal")

        return self._task

    async def close(self) -> None:
        """Commit what is waiting, then stop."""
        self._closing = True
        self._arrived.set()

        if self._task is not None:
            await asyncio.wait([self._task])

    def abort(self) -> None:
        """Commit nothing more, not even what is waiting."""
        self._closing = True

        if self._task is not None:
            self._task.cancel()

    def admit(self) -> None:
        """Check that there is room for what a client asks. Completions of workers are always let in.

        Raises:
            JournalFullError: There is none.
        """
        if self._waiting >= self._settings.capacity:
            raise JournalFullError(
                f"{self._waiting} bytes are waiting to be committed (limit {self._settings.capacity}); try again later"
            )

    @property
    def is_failing(self) -> bool:
        """Whether the store refused a commit a moment ago, and has taken none since."""
        failed_at = self._failed_at

        return failed_at is not None and monotonic() - failed_at < _FAILING

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to commit, and nothing being committed."""
        return not self._waiting

    def submit(
        self,
        mutation: Mutation,
        applied: Callable[[Outcome], None],
        failed: Callable[[Exception], None] = lambda _: None,
    ) -> asyncio.Future[Outcome]:
        """Have a mutation committed.

        Args:
            mutation: What.
            applied: Called with the outcome right after the commit, before anything that follows it in the journal.
            failed: Called instead when it was not committed. One of the two is called also when nobody waits for the future any
                more; neither, when it was too late.

        Returns:
            A future of the outcome. It raises a `BackendError` when the batch failed, `JournalClosedError` when it was too late.
        """
        result: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        if self._closing:
            result.set_exception(JournalClosedError("the server is stopping"))
            # Nobody needs to be listening.
            result.exception()

            return result

        size = _OVERHEAD + _size(mutation)
        self._entries.append(_Entry(mutation, applied, failed, result, size))
        self._waiting += size
        self._arrived.set()

        return result

    async def _run(self) -> None:
        try:
            while await self._pending():
                await self._commit()
        except BaseException as error:
            # Nothing is committed any more: say so to all who wait, and to all who come.
            self._closing = True
            reason = error if isinstance(error, BackendError) else StorageFailedError(f"the journal ended: {error!r}")

            while self._entries:
                self._fail(self._entries.popleft(), reason)

            raise

    async def _pending(self) -> bool:
        """Wait for something to commit; under load, for more to come along. False: there is nothing, and will be nothing."""
        came = len(self._entries)

        while not self._entries:
            if self._closing:
                return False

            self._arrived.clear()
            await self._arrived.wait()

        if len(self._entries) < self._settings.batch_limit and not self._closing:
            # At least what the event loop has ready may still come.
            await asyncio.sleep(self._settings.linger if came >= self._settings.loaded else 0)

        return True

    async def _commit(self) -> None:
        count = min(len(self._entries), self._settings.batch_limit)
        entries = [self._entries.popleft() for _ in range(count)]
        mutations = [entry.mutation for entry in entries]
        self._batches += 1
        batch = Batch(id=f"{self._name}.{self._batches}", lease=self._lease, mutations=[*mutations, *self._piggyback()])

        began = monotonic()

        try:
            outcomes = await self._apply(batch)
            self._failed_at = None
            self._measures.committed(monotonic() - began, len(batch.mutations))
        except BaseException as error:
            reason = error if isinstance(error, BackendError) else StorageFailedError(f"the commit ended: {error!r}")
            log.error("a batch of %d mutations was not committed: %s", count, reason)

            for entry in entries:
                self._fail(entry, reason)

            if isinstance(error, LeaseLostError) or not isinstance(error, BackendError):
                raise

            return

        for entry, outcome in zip(entries, outcomes, strict=False):
            self._waiting -= entry.size

            try:
                entry.applied(outcome)
            except Exception:
                log.exception("what follows from a committed %s failed", type(entry.mutation).__name__)

            if not entry.result.done():
                entry.result.set_result(outcome)

    async def _apply(self, batch: Batch) -> Sequence[Outcome]:
        try:
            return await self._backend.commit(batch)
        except StorageFailedError as error:
            self._storage_failed()
            failure = error

        # Whether the batch was applied decides what is true now, so nothing goes on until the store has said.
        while True:
            try:
                outcomes = await self._backend.outcomes(self._lease, batch.id)
            except StorageFailedError as error:
                if self._closing:
                    raise failure from error

                self._storage_failed()
                log.warning("the store does not say what became of a batch: %s", error)
                await asyncio.sleep(self._settings.ask_again)
                continue

            if outcomes is None:
                raise failure

            return outcomes

    def _storage_failed(self) -> None:
        self._failed_at = monotonic()
        self._measures.storage_failed()

    def _fail(self, entry: _Entry, error: BackendError) -> None:
        self._waiting -= entry.size

        try:
            entry.failed(error)
        except Exception:
            log.exception("what follows from a %s that was not committed failed", type(entry.mutation).__name__)

        if not entry.result.done():
            entry.result.set_exception(error)
            # Nobody needs to be listening any more.
            entry.result.exception()


def _size(mutation: Mutation) -> int:
    match mutation:
        case CompleteTurn():
            return (
                len(mutation.history)
                + sum(len(task.payload) for task in mutation.tasks)
                + sum(_size(effect) for effect in mutation.effects)
            )
        case AppendMessage() | CompleteTask():
            return len(mutation.payload)
        case CreateInstance():
            return len(mutation.start)
        case _:
            return 0
