from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from integration import peer_environment
from integration.processes import Program, Server, our_server

# They need Node, Java, Go or a container engine, and so are in no run but those that name them: `nox -s js java go dotnet mixed zipkin`.
collect_ignore = [
    "test_js_sdk.py",
    "test_java_sdk.py",
    "test_go_engine.py",
    "test_go_sdk.py",
    "test_dotnet_sdk.py",
    "test_mixed_languages.py",
    "test_zipkin.py",
]

# What a scenario found is in its failure.
pytest.register_assert_rewrite("integration.engines")


@pytest.fixture(scope="session")
def peer_python() -> Path:
    """The Python of an environment that has PyPI `durabletask`, and nothing of ours."""
    try:
        return peer_environment.peer_python()
    except peer_environment.PeerUnavailableError as error:
        pytest.skip(f"no environment for PyPI durabletask: {error}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on a SQLite file of its own."""
    with our_server(tmp_path / "hub.sqlite3", tmp_path / "server.log") as started:
        yield started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the logs of a failed test's programs into its report."""
    report = yield

    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Program):
                report.sections.append((f"log of {name}", value.log))

    return report
