"""Sets up OpenTelemetry for the server's command line: spans and metrics, as its standard variables and our options say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durabletask_protos.tracing.export import ExportError, asked_exporters, export_spans, load_exporter, resource_of
from opentelemetry import metrics

__all__ = ["ExportError", "set_up"]

_SERVICE = "durabletask-server"
_HINT = 'run pip install "durabletask-server[telemetry]"'


def set_up(environment: Mapping[str, str], *, prometheus: bool) -> Callable[[], tuple[str, bytes]] | None:
    """Set the providers that are asked for; without any, all of it costs nothing.

    Args:
        environment: The variables.
        prometheus: Whether metrics are to be had for Prometheus.

    Returns:
        Gives the content type and the text of the metrics; None unless `prometheus` is asked for and can be had.

    Raises:
        ExportError: What the variables ask for is not installed.
    """
    export_spans(environment, _SERVICE, _HINT)
    asked = asked_exporters(environment, "METRICS")

    if not asked and not prometheus:
        return None

    try:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    except ImportError:
        if asked:
            raise ExportError(f"OpenTelemetry's SDK is not installed; {_HINT}") from None

        return None

    readers: list[MetricReader] = []

    for name in asked:
        made = load_exporter(environment, "METRICS", name, _HINT)()
        readers.append(made if isinstance(made, MetricReader) else PeriodicExportingMetricReader(made))

    exposition = _prometheus(readers) if prometheus else None
    metrics.set_meter_provider(MeterProvider(readers, resource=resource_of(environment, _SERVICE)))

    return exposition


def _prometheus(readers: list[Any]) -> Callable[[], tuple[str, bytes]] | None:
    try:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
    except ImportError:
        return None

    # In the registry of the process, with what the client says of that.
    readers.append(PrometheusMetricReader())

    return lambda: (CONTENT_TYPE_LATEST, generate_latest())
