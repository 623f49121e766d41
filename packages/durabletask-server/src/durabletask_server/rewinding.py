"""Sees a rewinding through: reads the failed instance and the children that matter, and commits what is decided on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from durabletask_backend.contract import Backend
from durabletask_backend.mutations import Code, Outcome, RewindInstances
from durabletask_backend.plan import turn_applied
from durabletask_backend.values import InstanceKey, Micros, RuntimeStatus

from durabletask_server.engine.ids import NewId
from durabletask_server.engine.lifecycle import NotAllowedError
from durabletask_server.engine.rewind import Found, awaited, rewind
from durabletask_server.journal import Journal
from durabletask_server.residency import Residency
from durabletask_server.turns import TurnRefusedError
from durabletask_server.waiters import Waiters

_ATTEMPTS = 5
"""How often a rewinding is decided anew because something it was decided on has changed."""


async def find(backend: Backend, key: InstanceKey, *, whole: bool | None = None) -> Found | None:
    """Read an instance without becoming its owner.

    Args:
        backend: From here.
        key: Which.
        whole: Whether with its whole history, not only the beginning that has its start. None: if it has failed.

    Returns:
        None: there is none.
    """
    instance = await backend.get(key)

    if instance is None:
        return None

    whole = instance.status is RuntimeStatus.FAILED if whole is None else whole
    history = bytearray()

    async for chunk in backend.history(key, execution_id=instance.execution_id):
        history += chunk.events

        if not whole:
            break

    return Found(instance=instance, history=bytes(history))


class Rewinder:
    """Rewinds instances.

    Args:
        backend: For what is to be read.
        journal: For what is to be changed.
        residency: Follows what was committed.
        waiters: Are told of it.
    """

    def __init__(self, backend: Backend, journal: Journal, residency: Residency, waiters: Waiters) -> None:
        self._backend = backend
        self._journal = journal
        self._residency = residency
        self._waiters = waiters

    async def rewind(self, key: InstanceKey, reason: str | None, *, now: Micros, new_id: NewId) -> bool:
        """See `Instances.rewind`."""
        self._journal.admit()

        for _ in range(_ATTEMPTS):
            tree = await self._read(key)

            if key not in tree:
                return False

            mutation = rewind(key, tree, reason, now, new_id)
            outcome = await self._journal.submit(mutation, self._following(mutation, tree))

            if outcome.code is Code.APPLIED:
                return True

        raise TurnRefusedError(
            f"instance {key.instance_id!r} is not rewound: it or one of its children was changed meanwhile; try again"
        )

    async def _read(self, root: InstanceKey) -> Mapping[InstanceKey, Found]:
        """An instance and, if it has failed, the children that matter to its rewinding; and so on with those."""
        tree: dict[InstanceKey, Found] = {}
        unread = [root]

        while unread:
            key = unread.pop()
            found = None if key in tree else await find(self._backend, key)

            if found is None:
                continue

            tree[key] = found

            if found.instance.status is RuntimeStatus.FAILED:
                try:
                    unread.extend(awaited(found))
                except NotAllowedError:
                    if key == root:
                        raise

        return tree

    def _following(self, mutation: RewindInstances, tree: Mapping[InstanceKey, Found]) -> Callable[[Outcome], None]:
        def applied(outcome: Outcome) -> None:
            if outcome.code is not Code.APPLIED:
                return

            for turn, turned in zip(mutation.turns, outcome.effects, strict=True):
                self._residency.follow(turn.effects, turned.effects)
                self._waiters.committed(turn_applied(tree[turn.key].instance, turn))

        return applied
