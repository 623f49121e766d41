"""The suites of the interop matrix: who runs on what, and which of their tests show which feature."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from integration.languages import GO_SDK, HERE, JAVA, JS
from integration.peer_environment import ROOT

FEATURES = (
    "sequence",
    "fan-out",
    "sub-orchestration",
    "timers",
    "one external event",
    "100 external events",
    "continue-as-new",
    "retries",
    "failures with causes",
    "terminate",
    "suspend and resume",
    "custom status",
    "entities",
    "large payloads",
    "queries",
    "purge",
    "versioning",
    "tracing",
)
"""What every SDK is tried for on our server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Some tests that are a line of the matrix."""

    title: str
    """Whose client and worker, and on which engine where it is not ours."""
    short: str = ""
    """The head of its column in the table of features."""
    session: str
    """The nox session that runs them."""
    files: tuple[str, ...]
    """Where they are, in this folder."""
    shows: Mapping[str, str] = field(default_factory=dict)
    """For features, a pattern of the names of the tests that show them."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """For other features, why the SDK does not have them."""


def _pinned(pattern: str, text: str) -> str:
    found = re.search(pattern, text)

    if found is None:
        raise RuntimeError(f"no version where {pattern!r} should find one")

    return found[1]


def _pypi() -> str:
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["constraint-dependencies"]

    return _pinned(r"\bdurabletask==(\S+)", " ".join(pins))


_NPM: str = json.loads((JS / "package.json").read_text("utf-8"))["dependencies"]["@microsoft/durabletask-js"]
_MAVEN = _pinned(
    r"<artifactId>durabletask-client</artifactId>\s*<version>(.+?)</version>", (JAVA / "pom.xml").read_text("utf-8")
)
_GO = _pinned(r"durabletask-go (v\S+)", (GO_SDK / "go.mod").read_text("utf-8"))
_DOTNET = _pinned(r'IMAGE = ".+:(.+)"', (HERE / "test_dotnet_sdk.py").read_text("utf-8"))

SUITES: Mapping[str, Suite] = {
    "pypi": Suite(
        short="PyPI",
        title=f"PyPI `durabletask` {_pypi()}",
        session="integration",
        files=("test_peer_sdk.py", "test_peer_survival.py"),
        shows={
            "sequence": r"\[sequence\]",
            "fan-out": r"fan_out",
            "sub-orchestration": r"sub_orchestrations|family_of_forty",
            "timers": r"\[timer\]",
            "one external event": r"\[external_event|event_to_another|event_before",
            "100 external events": r"hundred_events",
            "continue-as-new": r"continue_as_new|two_hundred_generations",
            "retries": r"retry|retries",
            "failures with causes": r"failure_details|failure_of_a_child",
            "terminate": r"terminate",
            "suspend and resume": r"suspend",
            "custom status": r"custom_status",
            "entities": r"entit|lock_|section",
            "large payloads": r"mebibyte",
            "queries": r"query|list_",
            "purge": r"purge",
            "versioning": r"version",
            "tracing": r"tracing",
        },
    ),
    "js": Suite(
        short="npm",
        title=f"npm `@microsoft/durabletask-js` {_NPM}",
        session="js",
        files=("test_js_sdk.py",),
        shows={
            "sequence": r"a sequence",
            "fan-out": r"a fan-out|one failure fails a fan-out",
            "sub-orchestration": r"flows: (a child|children)",
            "timers": r"flows: a timer",
            "one external event": r"flows: an event",
            "100 external events": r"flows: 100 events",
            "continue-as-new": r"continues as new|carried into",
            "retries": r"tried again|is tried|try again",
            "failures with causes": r"keeps its causes",
            "terminate": r"control: .*terminat",
            "suspend and resume": r"suspend|resum",
            "custom status": r"custom status",
            "entities": r"\[(entities|entity_records|sections):",
            "large payloads": r"1 MiB",
            "queries": r"records: (a query|a last page|ids )",
            "purge": r"purge",
            "versioning": r"\[versions:",
            "tracing": r"\[tracing:",
        },
    ),
    "java": Suite(
        short="Maven",
        title=f"Maven `com.microsoft:durabletask-client` {_MAVEN}",
        session="java",
        files=("test_java_sdk.py",),
        shows={
            "sequence": r": sequence",
            "fan-out": r": fanOut|FanOut",
            "sub-orchestration": r": subOrch|SubOrch",
            "timers": r": timer",
            "one external event": r": oneEvent",
            "100 external events": r": hundredEvents",
            "continue-as-new": r": continueAsNew",
            "retries": r": retry",
            "terminate": r": terminate",
            "suspend and resume": r": suspended",
            "custom status": r": customStatus",
            "large payloads": r": largePayload|Of1MiB",
            "queries": r": query",
            "purge": r": purge",
            "versioning": r": version",
        },
        lacks={
            "failures with causes": "a failure has type, message and stack trace, and no causes",
            "entities": "no entities",
            "tracing": "no trace contexts",
        },
    ),
    "go": Suite(
        short="Go",
        title=f"durabletask-go {_GO}, client and worker for gRPC",
        session="go",
        files=("test_go_sdk.py",),
        shows={
            "sequence": r"TestSequence",
            "fan-out": r"TestFanOut",
            "sub-orchestration": r"TestSubOrch",
            "timers": r"TestTimer",
            "one external event": r"TestOneEvent",
            "100 external events": r"TestHundredEvents",
            "continue-as-new": r"TestContinueAsNew",
            "retries": r"TestRetry",
            "terminate": r"TestTerminate",
            "suspend and resume": r"TestSuspend",
            "custom status": r"TestCustomStatus",
            "large payloads": r"TestLargePayload",
            "purge": r"TestPurge",
        },
        lacks={
            "failures with causes": "a failure has type and message, and no causes",
            "entities": "no entities",
            "queries": "no call for queries",
            "versioning": "no versions",
            "tracing": "no trace contexts over gRPC",
        },
    ),
    "dotnet": Suite(
        title=f".NET, by the image of its tests, {_DOTNET}", session="dotnet", files=("test_dotnet_sdk.py",)
    ),
    "mixed": Suite(
        title="ours, PyPI, npm, Maven and Go on one hub", session="mixed", files=("test_mixed_languages.py",)
    ),
    "engines": Suite(
        title="ours, on our server and on PyPI's in-memory backend", session="integration", files=("test_engines.py",)
    ),
    "go_engine": Suite(title="ours, on durabletask-go's engine", session="go", files=("test_go_engine.py",)),
}
"""By the names that `python -m integration.matrix` takes."""
