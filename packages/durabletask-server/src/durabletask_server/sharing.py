"""What several servers on one store leave to each other, take from each other and tell each other.

A server keeps what it creates as long as it has workers for it, and gives up what it has none for; the hint of that tells the others.
It claims what is free when a hint says so, when a worker connects, when its workers have nothing left to do, and, for what servers
that died have left, from time to time. With a backend for one owner nothing of this happens but the claims of the start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from durabletask_backend.contract import Backend, Hint
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.values import ANY_WORK, InstanceKey, Lease, Task, TaskKey, WorkNames

from durabletask_server.about import about
from durabletask_server.activities import ActivityProcessor
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.dispatch.stream import Kind
from durabletask_server.residency import Residency
from durabletask_server.resident import Phase, Resident
from durabletask_server.settings import Settings
from durabletask_server.waiters import Waiters

log = logging.getLogger(__name__)

_PAGE = 1000
_Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Sharing:
    """One server's part in it.

    Args:
        backend: The store.
        lease: This server's.
        residency: The instances it has.
        activities: The tasks it has.
        dispatcher: Knows what workers are connected.
        waiters: Who waits here for instances that other servers may have.
        settings: Delays.
    """

    def __init__(
        self,
        backend: Backend,
        lease: Lease,
        residency: Residency,
        activities: ActivityProcessor,
        dispatcher: Dispatcher,
        waiters: Waiters,
        settings: Settings,
    ) -> None:
        self._backend = backend
        self._lease = lease
        self._residency = residency
        self._activities = activities
        self._dispatcher = dispatcher
        self._waiters = waiters
        self._settings = settings
        self._unserved: dict[InstanceKey, Resident] = {}
        self._surplus: list[TaskKey] = []
        # Could not be given up; the next sweep tries again.
        self._owed: list[InstanceKey] = []
        self._changed: set[InstanceKey] = set()
        # What was given up since a worker connected or the last sweep: it is not taken again.
        self._declined: set[InstanceKey] = set()
        self._declined_tasks: set[str] = set()
        # Whether the store may have work that nobody has.
        self._free = True
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._stopped = False

    async def start(self) -> None:
        """Take over what the store has and nobody else.

        Raises:
            StorageFailedError: It cannot be read.
        """
        await self._residency.timers.start()

        if self._backend.shared:
            self._dispatcher.on_open = self.look
            self._run("follow", self._follow)
            self.look()
            log.info("activity and orchestration processors wait for work, which they share with other servers")
            return

        tasks = await self._claim_tasks(ANY_WORK, None)
        log.info("activity processor waits for work; %d activities were open", tasks)
        instances = await self._claim_instances(ANY_WORK, None)
        log.info(
            "orchestration processor waits for work; %d instances go on, %d timers wait",
            instances,
            len(self._residency.timers),
        )

    def stop(self) -> None:
        """Claim and give up nothing more."""
        self._stopped = True

        for task in self._tasks.values():
            task.cancel()

    # Giving up.

    def unserved(self, resident: Resident) -> None:
        """An instance has a turn for which no worker is connected."""
        if self._backend.shared:
            self._unserved[resident.key] = resident
            self._run("give up", self._give_up)

    def spare(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Of some new tasks, those to keep: what the workers here can take soon. The others are given up."""
        if not self._backend.shared or not tasks:
            return tasks

        room = 2 * self._dispatcher.free(Kind.ACTIVITY) - self._dispatcher.ready(Kind.ACTIVITY)
        kept = [
            task
            for task in tasks
            if self._dispatcher.fits(Kind.ACTIVITY, task.key.hub, task.name, task.version, task.caller_version)
        ][: max(room, 0)]

        if len(kept) < len(tasks):
            ours = {task.key for task in kept}
            self._surplus.extend(task.key for task in tasks if task.key not in ours)
            self._run("give up", self._give_up)

        return kept

    async def _give_up(self) -> None:
        unserved, self._unserved = self._unserved, {}
        surplus, self._surplus = self._surplus, []
        owed, self._owed = self._owed, []
        keys = [key for key, resident in unserved.items() if self._is_unserved(resident)]
        keys += [key for key in owed if self._residency.get(key) is None]

        for key in keys:
            self._residency.forget(key)

        self._declined.update(keys)

        try:
            await self._backend.release(self._lease, keys, surplus)
        except StorageFailedError as error:
            self._owed.extend(keys)
            log.warning("what no worker here can do cannot be given up: %s", error)
            self._surplus.extend(surplus)

        if surplus:
            self._free = True

    def _is_unserved(self, resident: Resident) -> bool:
        item = resident.item

        return (
            self._residency.has(resident)
            and resident.phase is Phase.READY
            and item is not None
            and not self._dispatcher.fits(item.kind, resident.key.hub, item.name, item.version)
        )

    # Claiming.

    def look(self) -> None:
        """There may be work that nobody has."""
        self._free = True
        self._declined.clear()
        self._declined_tasks.clear()
        self._run("claim", self._claim)

    def sweep(self) -> None:
        """Look for what servers that died have left."""
        if self._backend.shared:
            self.look()
            self._left()
            self._run("timers", self._refill)
            self._run("own", self._read_own)

    def _left(self) -> None:
        """A worker may have been the only one for what waits here."""
        for resident in self._residency.ready():
            if self._is_unserved(resident):
                self._unserved[resident.key] = resident

        self._surplus.extend(self._activities.let_go(self._fits))

        if self._unserved or self._surplus or self._owed:
            self._run("give up", self._give_up)

    def _fits(self, task: Task) -> bool:
        return self._dispatcher.fits(Kind.ACTIVITY, task.key.hub, task.name, task.version, task.caller_version)

    async def _read_own(self) -> None:
        """Hints may be lost: read what is ours and has messages, if there is nothing under way that shows that we know."""
        after: InstanceKey | None = None

        try:
            while True:
                keys = await self._backend.claim_instances(self._lease, names=self._names(), after=after, limit=_PAGE)

                for key in keys:
                    resident = self._residency.get(key)

                    if key not in self._declined and (resident is None or resident.phase is Phase.IDLE):
                        self._residency.refresh(key)

                if len(keys) < _PAGE:
                    return

                after = keys[-1]
        except StorageFailedError as error:
            log.warning("cannot read what messages there are: %s", error)

    def hungry(self) -> None:
        """Workers here have room, and there is nothing for them."""
        if self._free and self._backend.shared:
            self._run("claim", self._claim)

    async def _claim(self) -> None:
        names = self._names()
        tasks = self._dispatcher.free(Kind.ACTIVITY) - self._dispatcher.ready(Kind.ACTIVITY)
        instances = self._dispatcher.free(Kind.ORCHESTRATION) + self._dispatcher.free(Kind.ENTITY)
        # What is not looked for now may be there; and where there was as much as was wanted, there may be more.
        self._free = tasks <= 0 or instances <= 0

        try:
            if tasks > 0 and await self._claim_tasks(names, tasks) == tasks:
                self._free = True

            if instances > 0 and await self._claim_instances(names, instances) == instances:
                self._free = True
        except StorageFailedError as error:
            self._free = True
            log.warning("cannot look for work that nobody has: %s", error)

    async def _claim_tasks(self, names: WorkNames, most: int | None) -> int:
        after: TaskKey | None = None
        found = 0

        while most is None or found < most:
            limit = _PAGE if most is None else min(most - found, _PAGE)
            tasks = await self._backend.claim_tasks(self._lease, names=names, mine=False, after=after, limit=limit)
            kept = [task for task in tasks if not self._backend.shared or self._fits(task)]
            ours = {task.key for task in kept}
            unfit = [task for task in tasks if task.key not in ours]
            self._activities.take_over(kept)
            found += len(kept)

            if unfit:
                self._declined_tasks.update(task.name.lower() for task in unfit)
                await self._backend.release(self._lease, (), [task.key for task in unfit])

            if len(tasks) < limit:
                break

            after = tasks[-1].key

        return found

    async def _claim_instances(self, names: WorkNames, most: int | None) -> int:
        after: InstanceKey | None = None
        found = 0

        while most is None or found < most:
            limit = _PAGE if most is None else min(most - found, _PAGE)
            keys = await self._backend.claim_instances(self._lease, names=names, mine=False, after=after, limit=limit)

            wanted = [key for key in keys if key not in self._declined]

            for key in wanted:
                self._residency.load(key)

            found += len(wanted)

            if len(wanted) < len(keys):
                await self._backend.release(self._lease, [key for key in keys if key in self._declined])

            if len(keys) < limit:
                break

            after = keys[-1]

        return found

    def _names(self) -> WorkNames:
        return WorkNames(
            orchestrations=self._dispatcher.names(Kind.ORCHESTRATION),
            activities=self._dispatcher.names(Kind.ACTIVITY),
            entities=self._dispatcher.names(Kind.ENTITY),
        )

    async def _refill(self) -> None:
        try:
            await self._residency.timers.start()
        except StorageFailedError as error:
            log.warning("cannot look for timers of servers that died: %s", error)

    # Hints.

    async def _follow(self) -> None:
        async for hint in self._backend.changes():
            if hint.key is None:
                self._tasks_are_free(hint)
            else:
                self._instance_changed(hint.key, hint)

    def _tasks_are_free(self, hint: Hint) -> None:
        if hint.name in self._declined_tasks:
            return

        self._free = True

        if self._dispatcher.free(Kind.ACTIVITY) > self._dispatcher.ready(Kind.ACTIVITY):
            self._run("claim", self._claim)

    def _instance_changed(self, key: InstanceKey, hint: Hint) -> None:
        if self._waiters.waits_for(key):
            self._changed.add(key)
            self._run("tell", self._tell)

        if hint.owner == self._lease.owner:
            self._residency.refresh(key)
        elif hint.owner is not None:
            # If we had it, it was created anew by another server, which is its owner by that.
            self._residency.lose(key)
        elif self._residency.get(key) is not None:
            self._residency.refresh(key)
        elif key not in self._declined and (hint.name is None or self._serves(key, hint.name)):
            self._residency.load(key)

    def _serves(self, key: InstanceKey, name: str) -> bool:
        names = self._dispatcher.names(Kind.ENTITY if key.is_entity else Kind.ORCHESTRATION, key.hub)

        return names is None or name in names

    async def _tell(self) -> None:
        """Let those know who wait here for what other servers have changed."""
        changed, self._changed = self._changed, set()

        for key in changed:
            try:
                instance = await self._backend.get(key)
            except StorageFailedError as error:
                log.warning(
                    "cannot look at instance %s, for which somebody waits: %s", key.instance_id, error, extra=about(key)
                )
                continue

            if instance is None:
                self._waiters.purged(key)
            else:
                self._waiters.committed(instance)

    def _run(self, name: str, work: _Work) -> None:
        """Have something done, once at a time; once more if it is asked for while it is being done."""
        if self._stopped:
            return

        running = self._tasks.get(name)

        if running is not None and not running.done():
            self._again.add(name)
            return

        task = self._tasks[name] = asyncio.create_task(work(), name=f"sharing: {name}")
        task.add_done_callback(lambda done: self._done(name, work, done))

    def _done(self, name: str, work: _Work, done: asyncio.Task[None]) -> None:
        if not done.cancelled() and done.exception() is not None:
            log.error("sharing (%s) failed", name, exc_info=done.exception())

        if name in self._again:
            self._again.discard(name)
            self._run(name, work)
