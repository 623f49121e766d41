"""What can be set about a server's engine. Durations are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from durabletask_server.dispatch.stream import Kind
from durabletask_server.journal import JournalSettings


class EngineSpans(Enum):
    """Which spans of orchestrations, timers and activities the engine makes, when a tracer provider is set."""

    AUTO = "auto"
    """Those that no worker makes: of a worker that sends no trace context, and of an end that the engine alone brings about."""
    ON = "on"
    """All, also beside those that a worker makes."""
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The engine's settings."""

    journal: JournalSettings = field(default_factory=JournalSettings)
    default_limits: Mapping[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 100))
    """How many items of a kind a worker gets at a time that does not say how many it wants."""
    abandon_delay: float = 1.0
    """Before work that was given back is offered again; doubles each time."""
    abandon_limit: float = 30.0
    """The longest such delay."""
    activity_grace: float = 5.0
    """After a start: for the answers of workers that held activities when the last server died."""
    slow_turn: float = 60.0
    """A turn that a worker has for longer is logged and counted; nothing else happens to it."""
    poison_limit: int = 10
    """How many streams in a row may break while they hold the same item, before it fails."""
    ping_interval: float = 30.0
    """Between health pings on an idle stream, between renewals of the lease, and between sweeps for what servers that died have left."""
    lease: float = 90.0
    """How long a backend for many owners keeps this one's instances for it without a renewal."""
    wide: int = 32
    """An instance with more open activities and children than this waits a little for more answers before its next turn."""
    first_wait: float = 0.010
    """How long; doubles with each such turn."""
    longest_wait: float = 0.100
    """The longest such wait."""
    resident_bytes: int = 48 << 20
    """About how much memory idle instances may take. They are loaded again when they are needed."""
    streamed_history: int = 1 << 20
    """Workers that can, fetch a history of more bytes by themselves."""
    message_limit: int = 4 << 20
    """Bytes of a work item; most workers receive no more. What needs more fails, instead of breaking its worker's stream."""
    engine_spans: EngineSpans = EngineSpans.AUTO
    """Which spans the engine makes."""

    def backoff(self, times: int) -> float:
        """The delay after work was given back so many times before."""
        return min(self.abandon_delay * 2.0**times, self.abandon_limit)
