"""What is counted under attributes that stay the same is what OpenTelemetry would have counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from durabletask_server.observability.series import Histogram
from opentelemetry.metrics import NoOpHistogram
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View

BOUNDS = (1.0, 2.0, 5.0)
VALUES = {("a", "x"): [0.5, 1.0, 7.0], ("a", "y"): [1.5] * 300, ("b", "x"): [3.0, 0.0]}


def cumulative() -> InMemoryMetricReader:
    return InMemoryMetricReader()


def of_differences() -> InMemoryMetricReader:
    return InMemoryMetricReader({sdk.Histogram: AggregationTemporality.DELTA})


def providers() -> Mapping[str, Callable[[list[InMemoryMetricReader]], MeterProvider]]:
    """Providers, by what is special about them."""
    return {
        "nothing": MeterProvider,
        "fewer attributes": lambda readers: MeterProvider(
            readers, views=[View(instrument_name="h", attribute_keys={"kind"})]
        ),
        "two views": lambda readers: MeterProvider(
            readers,
            views=[View(instrument_name="h"), View(instrument_name="h", name="other", attribute_keys=set())],
        ),
        "dropped": lambda readers: MeterProvider(
            readers, views=[View(instrument_name="h", aggregation=DropAggregation())]
        ),
        "examples": lambda readers: MeterProvider(readers, exemplar_filter=AlwaysOnExemplarFilter()),
        "no attributes": lambda readers: MeterProvider(
            readers, views=[View(instrument_name="h", attribute_keys=set())]
        ),
    }


def recorded(provider: MeterProvider, readers: list[InMemoryMetricReader], rounds: int, *, bound: bool) -> list[Any]:
    """What readers read of `VALUES`, round by round, recorded by us or by OpenTelemetry itself."""
    histogram = provider.get_meter("m").create_histogram("h", explicit_bucket_boundaries_advisory=BOUNDS)
    ours = Histogram(histogram, "kind", "name")
    read: list[Any] = []

    for _ in range(rounds):
        for key, values in VALUES.items():
            for value in values:
                if bound:
                    ours[key].record(value)
                else:
                    histogram.record(value, dict(zip(("kind", "name"), key, strict=True)))

        ours.settle()
        read.append([points(reader) for reader in readers])

    return read


def points(reader: InMemoryMetricReader) -> list[tuple[Any, ...]]:
    data = reader.get_metrics_data()
    found: Any = [] if data is None else data.resource_metrics[0].scope_metrics[0].metrics

    return sorted(
        (
            metric.name,
            sorted((point.attributes or {}).items()),
            point.count,
            point.sum,
            point.min,
            point.max,
            point.bucket_counts,
            sorted(example.value for example in point.exemplars),
        )
        for metric in found
        for point in metric.data.data_points
    )


@pytest.mark.parametrize("special", providers())
@pytest.mark.parametrize("readers", [[cumulative], [of_differences], [cumulative, of_differences], []])
def test_it_is_what_opentelemetry_counts(special: str, readers: list[Callable[[], InMemoryMetricReader]]) -> None:
    seen = []

    for bound in (True, False):
        made = [reader() for reader in readers]
        provider = providers()[special](made)
        seen.append(recorded(provider, made, 3, bound=bound))
        provider.shutdown()

    assert seen[0] == seen[1]
    assert not readers or special == "dropped" or seen[0][0][0], "something was counted"


def test_another_make_is_told_as_ever() -> None:
    told: list[tuple[float, object]] = []

    class Another(NoOpHistogram):
        def record(self, amount: float, attributes: Any = None, context: Any = None) -> None:
            told.append((amount, attributes))

    ours = Histogram(Another("h"), "kind")

    for value in (1, 2):
        ours["a",].record(value)

    ours.settle()
    assert ours["a",].count == 2
    assert sorted(told) == [(1, {"kind": "a"}), (2, {"kind": "a"})]


def test_a_reader_that_comes_later_reads_too() -> None:
    first, second = cumulative(), cumulative()
    provider = MeterProvider([first])

    if not hasattr(provider, "add_metric_reader"):
        pytest.skip("this version of OpenTelemetry's SDK has all of its readers from the start")

    histogram = provider.get_meter("m").create_histogram("h", explicit_bucket_boundaries_advisory=BOUNDS)
    ours = Histogram(histogram)
    ours[()].record(1)
    ours[()].record(1)
    ours.settle()
    provider.add_metric_reader(second)
    ours[()].record(1)
    ours[()].record(1)
    ours.settle()
    assert [points(reader)[0][2] for reader in (first, second)] == [4, 2]
    provider.shutdown()
