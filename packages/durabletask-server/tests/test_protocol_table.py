"""The table of `docs/protocol.md` has all that the protocol has, and the tests that it names exist."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb

ROOT = Path(__file__).parents[3]
TESTS = Path(__file__).parent
DOCUMENT = ROOT / "docs" / "protocol.md"
NEVER_MADE = ("OrchestratorCompletedEvent", "GenericEvent", "HistoryStateEvent", "ContinueAsNewEvent")

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"{DOCUMENT} is not here: this is not the whole repository"
)


def section(title: str) -> dict[str, str]:
    """The rows of a section, by what is in backticks in the first column, with their last column."""
    text = DOCUMENT.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| `")
    ]

    return {row[0].strip("| `"): row[-1].rstrip(" |") for row in rows}


def names(message: str, oneof: str) -> list[str]:
    """The fields of a oneof."""
    return [field.name for field in pb.DESCRIPTOR.message_types_by_name[message].oneofs_by_name[oneof].fields]


@pytest.mark.parametrize(
    ("title", "wanted"),
    [
        ("RPCs", [method.name for method in pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"].methods]),
        ("Actions of orchestrations", names("OrchestratorAction", "orchestratorActionType")),
        ("Actions of entities", names("OperationAction", "operationActionType")),
        ("Events", names("HistoryEvent", "eventType")),
    ],
)
def test_the_table_has_all_that_the_protocol_has(title: str, wanted: Iterable[str]) -> None:
    assert set(section(title)) == set(wanted)


def test_every_row_names_a_test_that_exists() -> None:
    rows = DOCUMENT.read_text("utf-8").splitlines()
    cells = [
        line.rstrip(" |").rsplit("| ", 1)[1] for line in rows if line.startswith("| ") and not line.endswith("| test |")
    ]
    missing = [cell for cell in cells if cell not in ("test", "where") and not _exists(cell)]

    assert missing == []


def _exists(cell: str) -> bool:
    named = re.fullmatch(r"`([\w./-]+)::(\w+)`", cell)

    if named is None:
        return False

    path = (ROOT if "/" in named[1] and not named[1].startswith("engine/") else TESTS) / named[1]

    return path.is_file() and re.search(rf"def {named[2]}\b", path.read_text("utf-8")) is not None


def test_no_event_is_made_that_some_sdk_does_not_know() -> None:
    sources = (ROOT / "packages" / "durabletask-server" / "src").rglob("*.py")
    making = [path.name for path in sources for name in NEVER_MADE if f"{name}(" in path.read_text("utf-8")]

    assert making == []
