"""The page of observability lists what there is, and the dashboard shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from durabletask_protos.tracing import names
from durabletask_server.observability.metrics import METRICS
from durabletask_server.settings import EngineSpans

DOCS = Path(__file__).parents[1]
PAGE = (DOCS / "observability.md").read_text("utf-8")
_SUFFIXES = re.compile(r"_(?:bucket|sum|count|total)$")
_UNITS = {"": "", "s": "_seconds", "By": "_bytes"}


def rows(first: str) -> list[list[str]]:
    """The cells of the table whose first column has that head."""
    table = PAGE.split(f"| {first} |", 1)[1].split("\n\n", 1)[0]

    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_span_is_listed() -> None:
    assert {row[0].strip("`") for row in rows("span")} == {*names.SPANS}


def test_every_attribute_is_listed() -> None:
    assert [row[0].strip("`") for row in rows("attribute")] == [*names.ATTRIBUTES]
    assert all(f"`{name}`" in PAGE for name in (*names.TYPES, *names.SPAN_EVENTS))


def test_every_metric_is_listed() -> None:
    listed = {name.strip("`"): (kind, unit, what.split(";")[0]) for name, kind, unit, _, what in rows("metric")}
    assert listed == {name: (kind, unit, what.split(";")[0]) for name, (kind, unit, what) in METRICS.items()}


def test_the_ways_of_the_engines_spans_are_listed() -> None:
    assert all(f"| `{policy.value}` |" in PAGE for policy in EngineSpans)


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    exported = {f"{name.replace('.', '_')}{_UNITS[unit]}" for name, (_, unit, _) in METRICS.items()}
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    shown = {_SUFFIXES.sub("", name) for query in queries for name in re.findall(r"durabletask_\w+", query)}
    assert shown == exported
