"""The engine's metrics, through OpenTelemetry's API. `docs/observability.md` lists them, and a test compares the two."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from durabletask_backend.errors import BackendError
from durabletask_backend.values import RuntimeStatus
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from durabletask_server.dispatch.stream import Kind
from durabletask_server.measures import Measures
from durabletask_server.observability.series import Histogram

if TYPE_CHECKING:
    from durabletask_server.dispatch.stream import WorkItem
    from durabletask_server.taskhub import TaskHubWorker

log = logging.getLogger(__name__)

SCOPE = "durabletask"
"""The instrumentation scope of all."""

INSTANCES = "durabletask.instances"
READY = "durabletask.work_items.ready"
IN_FLIGHT = "durabletask.work_items.in_flight"
COMPLETED = "durabletask.work_items.completed"
REDELIVERED = "durabletask.work_items.redelivered"
LATENCY = "durabletask.dispatch.latency"
DURATION = "durabletask.work_item.duration"
COMMIT_DURATION = "durabletask.commit.duration"
COMMIT_SIZE = "durabletask.commit.size"
HISTORY_EVENTS = "durabletask.history.events"
HISTORY_SIZE = "durabletask.history.size"
CACHE_HITS = "durabletask.cache.hits"
CACHE_MISSES = "durabletask.cache.misses"
CACHE_INSTANCES = "durabletask.cache.instances"
CACHE_SIZE = "durabletask.cache.size"
WORKERS = "durabletask.worker.connections"
STORAGE_ERRORS = "durabletask.storage.errors"
METRICS: Mapping[str, tuple[str, str, str]] = {
    INSTANCES: ("gauge", "", "orchestrations on record"),
    READY: ("gauge", "", "work items that wait for a worker"),
    IN_FLIGHT: ("gauge", "", "work items that workers have"),
    COMPLETED: ("counter", "", "work items that workers answered"),
    REDELIVERED: ("counter", "", "work items that a worker gave back, or was lost with"),
    LATENCY: ("histogram", "s", "from ready to a worker"),
    DURATION: (
        "histogram",
        "s",
        "from a worker's getting an item to its answer: of an orchestration, the time of a turn",
    ),
    COMMIT_DURATION: ("histogram", "s", "the time that a commit takes"),
    COMMIT_SIZE: ("histogram", "", "changes that are committed together"),
    HISTORY_EVENTS: (
        "histogram",
        "",
        "events in the history of an orchestration, or a generation of one, that has ended",
    ),
    HISTORY_SIZE: ("histogram", "By", "the size of such a history"),
    CACHE_HITS: ("counter", "", "messages that found their instance in memory"),
    CACHE_MISSES: ("counter", "", "messages whose instance had to be loaded"),
    CACHE_INSTANCES: ("gauge", "", "instances in memory"),
    CACHE_SIZE: ("gauge", "By", "about how much memory they take"),
    WORKERS: ("gauge", "", "workers that are connected"),
    STORAGE_ERRORS: ("counter", "", "commits that failed, or whose outcome the store did not say"),
}
"""All there are: the kind of each, its unit, and what it counts or measures."""

MOST_NAMES = 200
"""So many names of work are told apart; the rest are `OTHER`."""
OTHER = "other"
_KINDS = {kind: kind.value for kind in Kind}
_COUNTED_EVERY = 15.0
"""Seconds between two counts of the instances on record."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_EVENTS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000)
_BYTES = tuple(1 << power for power in range(8, 28, 2))


def is_metered() -> bool:
    """Whether a meter provider is set, so that measuring is of use."""
    provider = metrics.get_meter_provider()

    return not isinstance(provider, metrics.NoOpMeterProvider) and type(provider).__name__ != "_ProxyMeterProvider"


class MeteredWork(Measures):
    """Measures what happens.

    Args:
        meter: Where it goes.
    """

    def __init__(self, meter: Meter) -> None:
        self._names: set[str] = set()
        self._redelivered: Counter[tuple[str, ...]] = Counter()
        self._failed = meter.create_counter(STORAGE_ERRORS, *METRICS[STORAGE_ERRORS][1:])
        self._latency = _histogram(meter, LATENCY, _SECONDS, "kind")
        self._duration = _histogram(meter, DURATION, _SECONDS, "kind", "name")
        self._commit = _histogram(meter, COMMIT_DURATION, _SECONDS)
        self._batch = _histogram(meter, COMMIT_SIZE, _SIZES)
        self._events = _histogram(meter, HISTORY_EVENTS, _EVENTS, "status")
        self._history = _histogram(meter, HISTORY_SIZE, _BYTES, "status")
        # So that the first error is an increase.
        self._failed.add(0)

    def name(self, name: str) -> str:
        """The name of work, as long as there are not too many of them."""
        if name not in self._names:
            if len(self._names) >= MOST_NAMES:
                return OTHER

            self._names.add(name)

        return name

    def completed(self) -> Mapping[tuple[str, ...], int]:
        """How many items were answered, by kind and name, up to `settle`."""
        return {work: series.count for work, series in list(self._duration.items())}

    def redelivered(self) -> Mapping[tuple[str, ...], int]:
        """How many items came back, by kind and name."""
        return dict(self._redelivered)

    def settle(self) -> None:
        """Have all that was measured in the metrics. May be called in any thread."""
        for each in (self._latency, self._duration, self._commit, self._batch, self._events, self._history):
            each.settle()

    def handed_out(self, item: WorkItem) -> None:
        """See `Measures.handed_out`."""
        self._latency[(_KINDS[item.kind],)].record(item.out_at - item.ready_at)

    def answered(self, item: WorkItem) -> None:
        """See `Measures.answered`."""
        self._duration[_KINDS[item.kind], self.name(item.name)].record(monotonic() - item.out_at)

    def returned(self, item: WorkItem) -> None:
        """See `Measures.returned`."""
        self._redelivered[_KINDS[item.kind], self.name(item.name)] += 1

    def ended(self, status: RuntimeStatus, events: int, size: int) -> None:
        """See `Measures.ended`."""
        key = (status.name.lower(),)
        self._events[key].record(events)
        self._history[key].record(size)

    def committed(self, seconds: float, mutations: int) -> None:
        """See `Measures.committed`."""
        self._commit[()].record(seconds)
        self._batch[()].record(mutations)

    def storage_failed(self) -> None:
        """See `Measures.storage_failed`."""
        self._failed.add(1)


def measures() -> Measures:
    """What measures an engine's work with the meter provider that is set now."""
    return MeteredWork(metrics.get_meter(SCOPE)) if is_metered() else Measures()


@asynccontextmanager
async def gauged(hub: TaskHubWorker, meter: Meter | None = None) -> AsyncIterator[None]:
    """Observe a started engine, for as long as the context lasts.

    Args:
        hub: The engine. There is something to observe if its `measures` are a `MeteredWork`.
        meter: Where it goes; None for that of the provider that is set.
    """
    if not isinstance(hub.measures, MeteredWork):
        yield

        return

    gauges = _Gauges(hub, hub.measures)
    gauges.observe(meter or metrics.get_meter(SCOPE))
    counting = asyncio.create_task(gauges.count_for_ever(), name="instances by status")

    try:
        yield
    finally:
        counting.cancel()
        gauges.stop()


_Gauge: TypeAlias = "Callable[[TaskHubWorker], Iterable[Observation]]"


class _Gauges:
    """What is read when somebody asks, in whatever thread that is.

    Args:
        hub: The engine.
        work: Knows the names of work.
    """

    def __init__(self, hub: TaskHubWorker, work: MeteredWork) -> None:
        self._hub: TaskHubWorker | None = hub
        self._work = work
        self._instances: dict[tuple[str, str], int] = {}

    def stop(self) -> None:
        """Have nothing more to say: instruments stay for as long as their provider."""
        self._work.settle()
        self._hub = None

    def observe(self, meter: Meter) -> None:
        """Be asked."""
        gauges: tuple[tuple[str, _Gauge], ...] = (
            (INSTANCES, self._on_record),
            (READY, self._ready),
            (IN_FLIGHT, self._in_flight),
            (CACHE_INSTANCES, lambda hub: [Observation(len(hub.residency))]),
            (CACHE_SIZE, lambda hub: [Observation(hub.residency.weight)]),
            (WORKERS, lambda hub: [Observation(hub.dispatcher.connected)]),
        )

        for name, gauge in gauges:
            meter.create_observable_gauge(name, [self._asked(gauge)], *METRICS[name][1:])

        counters: tuple[tuple[str, _Gauge], ...] = (
            (COMPLETED, lambda _: _by_name(self._work.completed())),
            (REDELIVERED, lambda _: _by_name(self._work.redelivered())),
            (CACHE_HITS, lambda hub: [Observation(hub.residency.hits)]),
            (CACHE_MISSES, lambda hub: [Observation(hub.residency.misses)]),
        )

        for name, counter in counters:
            meter.create_observable_counter(name, [self._asked(counter)], *METRICS[name][1:])

    def _asked(self, gauge: _Gauge) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observations(_: CallbackOptions) -> Iterable[Observation]:
            # All that is observed is asked for before any histogram is read.
            self._work.settle()

            return () if self._hub is None else gauge(self._hub)

        return observations

    async def count_for_ever(self) -> None:
        """Count what is on record, now and then."""
        while self._hub is not None:
            try:
                for hub in await self._hub.backend.hubs():
                    counts = await self._hub.backend.counts(hub.name)

                    for status in RuntimeStatus:
                        self._instances[hub.name, status.name.lower()] = counts.get(status, 0)
            except BackendError as error:
                log.debug("instances cannot be counted: %s", error)

            await asyncio.sleep(_COUNTED_EVERY)

    def _on_record(self, _: TaskHubWorker) -> Iterator[Observation]:
        for (hub, status), count in list(self._instances.items()):
            yield Observation(count, {"hub": hub, "status": status})

    def _ready(self, hub: TaskHubWorker) -> Iterator[Observation]:
        return self._sizes((kind.value, name, size) for kind, name, size in hub.dispatcher.waiting())

    def _in_flight(self, hub: TaskHubWorker) -> Iterator[Observation]:
        return self._sizes((item.kind.value, item.name, 1) for item in hub.dispatcher.held())

    def _sizes(self, sizes: Iterable[tuple[str, str, int]]) -> Iterator[Observation]:
        found: Counter[tuple[str, ...]] = Counter()

        for kind, name, size in sizes:
            found[kind, self._work.name(name)] += size

        return _by_name(found)


def _by_name(counts: Mapping[tuple[str, ...], int]) -> Iterator[Observation]:
    for (kind, name), count in counts.items():
        yield Observation(count, {"kind": kind, "name": name})


def _histogram(meter: Meter, name: str, bounds: tuple[float, ...], *attributes: str) -> Histogram:
    _, unit, description = METRICS[name]

    return Histogram(
        meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds), *attributes
    )
