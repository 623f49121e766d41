"""A real Zipkin, and the tracing sample's trace as it comes back from it, drawn.

python -m integration.zipkin     # runs the sample and draws its trace into docs/traced-orchestration.svg
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from integration.languages import LanguageUnavailableError, zipkin_jar
from integration.peer_environment import ROOT
from integration.processes import Program, free_port

PICTURE = ROOT / "docs" / "traced-orchestration.svg"
_READY_WITHIN = 60.0
_THERE_WITHIN = 20.0

_COLOURS = {"SERVER": "#3f7cac", "CLIENT": "#95afba", "PRODUCER": "#d98e04", "INTERNAL": "#7a9e7e"}
_ROW, _NAMES, _BARS, _MARGIN = 24, 330, 560, 12


class Spanned(NamedTuple):
    """A span as Zipkin has it, in its place in the trace."""

    name: str
    kind: str
    depth: int
    start: int
    """Microseconds since 1970."""
    duration: int
    """Microseconds."""


@contextmanager
def zipkin(folder: Path) -> Iterator[str]:
    """A Zipkin that runs, for as long as the context lasts.

    Args:
        folder: Where its log goes.

    Yields:
        Its address, as `http://host:port`.

    Raises:
        LanguageUnavailableError: There is no Java, no Maven or no network to get it with.
    """
    jar, port = zipkin_jar(), free_port()
    address = f"http://localhost:{port}"
    command: list[str | Path] = [shutil.which("java") or "java", "-Xmx256m", "-jar", jar, f"--server.port={port}"]

    with Program(command, folder / "zipkin.log") as program:
        deadline = time.monotonic() + _READY_WITHIN

        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"zipkin does not answer:\n{program.log}") from None

                time.sleep(0.2)

        yield address


def run_sample(address: str) -> str:
    """Run `examples/distributed_tracing.py` with its spans exported to a Zipkin.

    Args:
        address: The Zipkin's.

    Returns:
        The trace's id.
    """
    ran = subprocess.run(
        [sys.executable, ROOT / "examples" / "distributed_tracing.py"],
        env={**os.environ, "OTEL_EXPORTER_ZIPKIN_ENDPOINT": f"{address}/api/v2/spans"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = re.fullmatch(r"sunny in tokyo\ntrace ([0-9a-f]{32})\n", ran.stdout)
    assert found is not None, ran.stdout + ran.stderr

    return found[1]


def fetch(address: str, trace_id: str, count: int) -> list[Spanned]:
    """Get a trace from a Zipkin's API.

    Args:
        address: The Zipkin's.
        trace_id: Which.
        count: How many spans it has; they are waited for.

    Returns:
        Its spans, each behind the one that it belongs to.
    """
    deadline = time.monotonic() + _THERE_WITHIN
    spans: list[dict[str, Any]] = []

    while len(spans) < count and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/api/v2/trace/{trace_id}", timeout=5) as answer:
                spans = json.load(answer)
        except urllib.error.HTTPError:
            time.sleep(0.1)

    return placed(spans)


def placed(spans: Sequence[dict[str, Any]]) -> list[Spanned]:
    """Put the spans of Zipkin's JSON in their places."""
    ids = {span["id"] for span in spans}

    def below(parents: set[str | None], depth: int) -> Iterator[Spanned]:
        for span in sorted(
            (span for span in spans if span.get("parentId") in parents), key=lambda span: span["timestamp"]
        ):
            kind = span.get("kind", "INTERNAL")
            yield Spanned(span["name"], kind, depth, span["timestamp"], span.get("duration", 1))
            yield from below({span["id"]}, depth + 1)

    return [*below({None, *(span.get("parentId") for span in spans)} - ids, 0)]


def drawn(spans: Sequence[Spanned]) -> str:
    """A trace as an SVG: a row for each span, with its name and its time."""
    begin = min(span.start for span in spans)
    length = max(span.start + span.duration for span in spans) - begin or 1
    width, height = _NAMES + _BARS + 2 * _MARGIN + 60, _ROW * len(spans) + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]

    for row, span in enumerate(spans):
        y = _MARGIN + row * _ROW
        x = _MARGIN + _NAMES + (span.start - begin) / length * _BARS
        bar = max(2.0, span.duration / length * _BARS)
        took = f"{span.duration / 1000:,.1f} ms"
        parts += [
            f'<text x="{_MARGIN + span.depth * 14}" y="{y + 16}" fill="#222">{escape(span.name)}</text>',
            f'<rect x="{x:.1f}" y="{y + 5}" width="{bar:.1f}" height="{_ROW - 10}" rx="2" fill="{_COLOURS.get(span.kind, "#888")}"/>',
            f'<text x="{min(x + bar, _MARGIN + _NAMES + _BARS) + 4:.1f}" y="{y + 16}" fill="#555" font-size="10">{took}</text>',
        ]

    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> int:
    """Draw the picture of the docs.

    Returns:
        0; 1 where Zipkin cannot be had.
    """
    with TemporaryDirectory() as folder:
        try:
            with zipkin(Path(folder)) as address:
                spans = fetch(address, run_sample(address), 10)
        except LanguageUnavailableError as error:
            print(error, file=sys.stderr)

            return 1

    PICTURE.write_text(drawn(spans), "utf-8")
    print(f"{len(spans)} spans drawn into {PICTURE.relative_to(ROOT)}")

    return 0


if __name__ == "__main__":
    sys.exit(main())
