"""Histograms under attributes that stay the same, for the price of counting.

OpenTelemetry's SDK looks for what it counts in, by the attributes, at every value; that takes ten times as long as the counting. Its API has
no instrument that is bound to its attributes, so what the SDK found at the first value is kept here, where nobody can tell the difference.
And many values are counted together, at the latest when somebody asks: one after the other they find their way warm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any, TypeAlias

from opentelemetry import metrics

_Aggregate: TypeAlias = "Callable[[_Value, bool], None]"
_TOGETHER = 128


class _Value:
    """What the SDK's counting reads of a measurement."""

    __slots__ = ("value",)
    value: float


class Histogram(dict[tuple[str, ...], "Series"]):
    """A histogram: by the values of its attributes, what counts under them.

    Args:
        histogram: It, of whatever make.
        attributes: What they are called.
    """

    def __init__(self, histogram: metrics.Histogram, *attributes: str) -> None:
        super().__init__()
        self._histogram = histogram
        self._attributes = attributes

    def __missing__(self, values: tuple[str, ...]) -> Series:
        made = self[values] = Series(self._histogram, dict(zip(self._attributes, values, strict=True)))

        return made

    def settle(self) -> None:
        """Count all that was recorded, in any thread."""
        for series in list(self.values()):
            series.settle()


class Series:
    """A histogram under some attributes.

    Args:
        histogram: It, of whatever make.
        attributes: They.
    """

    def __init__(self, histogram: metrics.Histogram, attributes: Mapping[str, str]) -> None:
        self.count = 0
        """How many values have been settled."""
        self._histogram = histogram
        self._attributes = attributes
        self._recorded: list[float] = []
        self._settling = Lock()
        self._consumer = getattr(histogram, "_measurement_consumer", None)
        self._storages: object = None
        self._found: tuple[_Aggregate, ...] = ()

    def record(self, value: float) -> None:
        """Take a value, to be counted with others.

        Args:
            value: It; not negative.
        """
        self._recorded.append(value)

        if len(self._recorded) >= _TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Count all that was recorded, in any thread."""
        with self._settling:
            values = self._recorded[:]
            # What is recorded meanwhile comes after these.
            del self._recorded[: len(values)]
            self.count += len(values)

            if values and not self._is_found():
                # In the SDK's way, which leaves something to be found.
                self._histogram.record(values.pop(), self._attributes)
                self._find()

            if not self._is_found():
                for value in values:
                    self._histogram.record(value, self._attributes)

                return

            measurement = _Value()

            for value in values:
                measurement.value = value

                for aggregate in self._found:
                    aggregate(measurement, False)

    def _is_found(self) -> bool:
        return bool(self._found) and self._consumer._reader_storages is self._storages  # type: ignore[union-attr]  # noqa: SLF001

    def _find(self) -> None:
        """Keep what the SDK counted in; nothing, and for good, if it is of another make or is to do more than count."""
        if self._consumer is None:
            return

        try:
            self._storages = self._consumer._reader_storages  # noqa: SLF001
            self._found = tuple(self._counts())
        except (AttributeError, LookupError, TypeError):
            self._consumer, self._found = None, ()

    def _counts(self) -> Iterator[_Aggregate]:
        from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter

        consumer: Any = self._consumer

        if isinstance(consumer._sdk_config.exemplar_filter, AlwaysOnExemplarFilter):  # noqa: SLF001
            raise LookupError("every value is kept as an example")

        for storage in consumer._reader_storages.values():  # noqa: SLF001
            for match in storage._instrument_view_instrument_matches[self._histogram]:  # noqa: SLF001
                if getattr(match, "_reset_on_collect", False):
                    raise LookupError("a reader of differences has it count in something new after each reading")

                kept = match._view._attribute_keys  # noqa: SLF001
                wanted = {key: value for key, value in self._attributes.items() if kept is None or key in kept}

                for aggregation in match._attributes_aggregation.values():  # noqa: SLF001
                    if aggregation._attributes == wanted:  # noqa: SLF001
                        yield aggregation.aggregate
                        break
                else:
                    raise LookupError("there are too many attributes, and it counted in what is for the rest")
