"""Sets up the export of spans for a program of ours, as OpenTelemetry's standard variables say. A program of yours sets up its own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opentelemetry import trace

__all__ = ["ExportError", "asked_exporters", "export_spans", "load_exporter", "resource_of"]

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


class ExportError(Exception):
    """What the environment asks for is not to be had; says what to install, or what to change."""


def asked_exporters(environment: Mapping[str, str], signal: str) -> list[str]:
    """The exporters that the environment asks for.

    Args:
        environment: The variables.
        signal: `TRACES` or `METRICS`.

    Returns:
        Their names; none unless `OTEL_<signal>_EXPORTER` or an endpoint for OTLP is set.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []

    endpoints = (_ENDPOINT, f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    default = "otlp" if any(environment.get(endpoint) for endpoint in endpoints) else "none"
    asked = (environment.get(f"OTEL_{signal}_EXPORTER") or default).split(",")

    return [name for name in map(str.strip, asked) if name and name != "none"]


def load_exporter(environment: Mapping[str, str], signal: str, name: str, hint: str) -> type:
    """Find an exporter, or whatever takes its place for a signal.

    Args:
        environment: The variables; they say by which protocol OTLP goes.
        signal: `TRACES` or `METRICS`.
        name: Its name, as in `OTEL_TRACES_EXPORTER`.
        hint: What to install when it is missing.

    Raises:
        ExportError: It is not installed.
    """
    if name == "otlp":
        protocol = environment.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or environment.get(_PROTOCOL, "grpc")
        name = "otlp_proto_http" if protocol.startswith("http") else "otlp_proto_grpc"

    found: EntryPoint | None = next(
        iter(entry_points(group=f"opentelemetry_{signal.lower()}_exporter", name=name)), None
    )

    if found is None:
        raise ExportError(f"OTEL_{signal}_EXPORTER: no exporter {name!r} is installed; {hint}")

    loaded: type = found.load()

    return loaded


def resource_of(environment: Mapping[str, str], service: str) -> Any:
    """The SDK's description of a program: by the environment, with a name of its service."""
    from opentelemetry.sdk.resources import Resource

    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")

    return Resource.create({} if named else {"service.name": service})


def export_spans(environment: Mapping[str, str], service: str, hint: str) -> bool:
    """Set a tracer provider that exports spans, if the environment asks for one.

    Args:
        environment: The variables. The SDK reads others, as `OTEL_TRACES_SAMPLER`, by itself.
        service: The name of the service, unless the environment has one.
        hint: What to install when something is missing.

    Returns:
        Whether it was asked for, and nobody had set a provider before.

    Raises:
        ExportError: The SDK, or an exporter, is not installed.
    """
    asked = asked_exporters(environment, "TRACES")

    if not asked or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return False

    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ExportError(f"OpenTelemetry's SDK is not installed; {hint}") from None

    provider = TracerProvider(resource=resource_of(environment, service))

    for name in asked:
        provider.add_span_processor(BatchSpanProcessor(load_exporter(environment, "TRACES", name, hint)()))

    # The provider flushes when the interpreter exits.
    trace.set_tracer_provider(provider)

    return True
