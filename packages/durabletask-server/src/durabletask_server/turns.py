"""What the turns of orchestrations and entities have in common: from ready to a worker, and back."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

from durabletask_backend.values import InstanceKey, Micros, RuntimeStatus, TaskKey
from durabletask_protos.tracing import TraceContext

from durabletask_server.about import about
from durabletask_server.clock import Clock
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.dispatch.stream import WorkerStream
from durabletask_server.engine.state import State
from durabletask_server.resident import Phase, Resident, TurnItem
from durabletask_server.settings import Settings
from durabletask_server.tokens import Token, TokenSigner

log = logging.getLogger(__name__)

_BREAKS_KEPT = 10_000
"""Instances whose broken streams are counted."""


class TurnRefusedError(Exception):
    """A turn was decided on a state that is not current any more; the instance is loaded again, and takes it anew."""


class Turns:
    """Hands turns to the dispatcher, and takes them back.

    Args:
        dispatcher: Finds workers.
        clock: The time.
        signer: The token signer of a hub.
        boot: Tells this process's hand-outs from another's.
        settings: Limits and delays.
        unserved: Called with an instance that has a turn for which no worker is connected.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        clock: Clock,
        signer: Callable[[str], TokenSigner],
        boot: str,
        settings: Settings,
        unserved: Callable[[Resident], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._signer = signer
        self._boot = boot
        self._settings = settings
        self._unserved = unserved
        self._hand_outs = 0
        # How many streams in a row broke with an instance's turn; kept also when the instance leaves memory.
        self._breaks: OrderedDict[InstanceKey, int] = OrderedDict()
        # What workers have, since when; in that order.
        self._out: dict[TurnItem, Micros] = {}
        self.slow = 0
        """How many turns were with a worker for longer than `Settings.slow_turn`."""

    def ready(self, resident: Resident, item: TurnItem, *, front: bool = False) -> None:
        """An instance's turn waits for a worker."""
        resident.phase = Phase.READY
        resident.item = item
        self._dispatcher.add(item, front=front)

        if not self._dispatcher.fits(item.kind, resident.key.hub, item.name, item.version):
            self._unserved(resident)

    def token(self, item: TurnItem, stream: WorkerStream, execution_id: str, task_id: int) -> str:
        """A worker takes a turn: the token by which it gives it back."""
        self._hand_outs += 1
        item.stream = stream
        item.attempt = f"{self._boot}.{self._hand_outs}"
        item.resident.phase = Phase.OUT
        self._out[item] = self._clock.now()
        key = item.instance

        return self._signer(key.hub).sign(Token(TaskKey(*key, execution_id, task_id), item.attempt))

    def take_back(self, resident: Resident) -> None:
        """An instance's turn is no worker's any more, and waits for none."""
        resident.phase = Phase.IDLE
        item, resident.item = resident.item, None

        if item is not None:
            self._out.pop(item, None)

            if item.stream is None:
                self._dispatcher.drop(item.kind, resident.key, lambda other: other is item)

            item.settle()

        resident.rest()

    def answered(self, resident: Resident) -> None:
        """A worker answers an instance's turn, which it has."""
        if resident.item is not None and resident.item.stream is not None:
            self._dispatcher.measures.answered(resident.item)

    def ended(self, state: State, status: RuntimeStatus, size: int) -> None:
        """A generation of an orchestration ended.

        Args:
            state: It, then.
            status: As what; RUNNING when it continues as new.
            size: How many bytes its history has.
        """
        self._dispatcher.measures.ended(status, state.length, size)

        if log.isEnabledFor(logging.DEBUG):
            instance = state.instance
            context = None if state.start is None else TraceContext.of(state.start.parentTraceContext)
            trace_id = "" if context is None else f"{context.trace_id:032x}"
            log.debug(
                "instance %s is %s",
                instance.key.instance_id,
                status.name,
                extra=about(instance.key, instance.name, trace_id),
            )

    def holds(self, resident: Resident, attempt: str) -> bool:
        """Whether a worker has an instance's turn by that hand-out; empty: by any, for workers that give no token back."""
        item = resident.item

        return item is not None and resident.phase is Phase.OUT and attempt in ("", item.attempt)

    def hand_out(self, item: TurnItem, take: Callable[[], bytes | None], over: Callable[[], None]) -> bytes | None:
        """Take a turn for a worker, if it is still to be had. One that cannot be taken is ready again after a while.

        Args:
            item: The turn.
            take: Takes it; None: there is nothing to take.
            over: Called when the while is over.
        """
        resident = item.resident

        if resident.item is not item or resident.phase is not Phase.READY:
            return None

        try:
            return take()
        except Exception:
            log.exception("a turn of %s cannot be handed out", resident.key.instance_id, extra=about(resident.key))
            resident.withdraw()
            self.give_back(resident, over)

            return None

    def abandon(self, resident: Resident, over: Callable[[], None]) -> None:
        """A worker gives an instance's turn back; rather another one gets it, after a while that grows."""
        item = resident.item
        stream = None if item is None else item.stream

        if item is not None and stream is not None:
            self._dispatcher.measures.returned(item)

        resident.avoid = None if stream is None else stream.number
        resident.prefer = None
        resident.withdraw()
        self.give_back(resident, over)

    def give_back(self, resident: Resident, over: Callable[[], None]) -> None:
        """A worker gives an instance's turn back, which `withdraw` has taken; it is ready again after a while that grows."""
        delay = self._settings.backoff(resident.abandoned)
        resident.abandoned += 1
        self.pause(resident, int(delay * 1_000_000), over)

    def pause(self, resident: Resident, micros: int, over: Callable[[], None]) -> None:
        """Let an instance wait with its next turn."""

        def ring() -> None:
            resident.pause = None
            over()

        resident.pause = self._clock.call_at(self._clock.now() + micros, ring)

    def broke(self, resident: Resident) -> int:
        """Count a stream that broke with an instance's turn: how many have, in a row."""
        breaks = self._breaks.pop(resident.key, 0) + 1
        self._breaks[resident.key] = breaks

        if len(self._breaks) > _BREAKS_KEPT:
            self._breaks.popitem(last=False)

        return breaks

    def committed(self, resident: Resident) -> None:
        """An instance's turn was committed: it is sound, and has none now."""
        self._breaks.pop(resident.key, None)
        resident.settled()

    def report_slow(self) -> None:
        """Log, once each, the turns that a worker has for long. They stay with it: its stream tells whether it lives."""
        horizon = self._clock.now() - int(self._settings.slow_turn * 1_000_000)

        for item in [item for item, since in self._out.items() if since < horizon]:
            del self._out[item]
            self.slow += 1
            log.warning(
                "a worker has a turn of %s (%s) for more than %g s",
                item.instance.instance_id,
                item.name,
                self._settings.slow_turn,
                extra=about(item.instance),
            )
