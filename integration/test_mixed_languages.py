"""One hub, a worker of each language, and orchestrations that go through several of them. By `nox -s mixed` only.

Each worker asks for its own work only, by work-item filters. The SDKs of Java and Go have none; there `WorkItemFilters.java` and
`filters.go` put them into the request. A language that cannot run here is skipped.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from durabletask_client import EntityInstanceId, OrchestrationStatus, TaskHubGrpcClient

from integration.engines.hub import Hub, fresh
from integration.languages import (
    BUILT_WITHIN,
    GO_SDK,
    JS,
    LanguageUnavailableError,
    go_program,
    java_program,
    node,
)
from integration.peer_environment import PeerUnavailableError, peer_python
from integration.processes import Program, Server, our_server

WORKERS = Path(__file__).parent / "workers"
LANGUAGES: dict[str, Callable[[Path], list[str | Path]]] = {
    "ours": lambda _: [sys.executable, WORKERS / "mixed_ours.py"],
    "pypi": lambda _: [peer_python(), WORKERS / "mixed_peer.py"],
    "js": lambda _: [node(), JS / "mixed.js"],
    "java": lambda _: [*java_program("interop.MixedWorker")],
    "go": lambda folder: [go_program(GO_SDK, "./worker", folder / "worker")],
}
"""Each with the command that runs its worker, made in a folder."""
WITH_ENTITIES = ["ours", "pypi", "js"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")

    with our_server(folder / "hub.sqlite3", folder / "server.log") as started:
        yield started


@pytest.fixture(scope="module")
def hub(server: Server) -> Iterator[Hub]:
    with TaskHubGrpcClient(host_address=server.address) as client:
        yield Hub(address=server.address, client=client)


@pytest.fixture(scope="module")
def working(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Program]]:
    """Has a language's worker running, from its first use to the end of the module."""
    running: dict[str, Program] = {}
    missing: dict[str, str] = {}

    def work(language: str) -> Program:
        if language not in running and language not in missing:
            folder = tmp_path_factory.mktemp(language)

            try:
                command = LANGUAGES[language](folder)
            except (LanguageUnavailableError, PeerUnavailableError) as error:
                missing[language] = str(error)
            else:
                command = ["env", f"DURABLETASK_ADDRESS={server.address}", *command]
                running[language] = Program(command, folder / "worker.log").start()

        if language in missing:
            pytest.skip(missing[language])

        return running[language]

    yield work

    for program in running.values():
        program.kill()


@pytest.mark.timeout(BUILT_WITHIN + 20)
@pytest.mark.parametrize("performer", LANGUAGES)
@pytest.mark.parametrize("conductor", LANGUAGES)
def test_visit(hub: Hub, working: Callable[[str], Program], conductor: str, performer: str) -> None:
    """An orchestration calls an activity and a child, and catches the failure of another activity."""
    logs = [working(language) for language in (conductor, performer)]
    instance_id = fresh(f"{conductor}-visits-{performer}")
    hub.client.schedule_new_orchestration(f"{conductor}_visits", input=performer, instance_id=instance_id)
    state = hub.completed(instance_id)
    said = "\n".join(program.log for program in logs)
    assert state.runtime_status is OrchestrationStatus.COMPLETED, f"{state.failure_details}\n{said}"
    assert state.get_output(list[str]) == [
        f"{performer} greets wörld",
        f"{performer} greets mum, from {instance_id}-child",
        f"{performer} breaks it",
    ]


@pytest.mark.timeout(BUILT_WITHIN + 20)
@pytest.mark.parametrize("performer", WITH_ENTITIES)
@pytest.mark.parametrize("conductor", WITH_ENTITIES)
def test_entity_is_shared(hub: Hub, working: Callable[[str], Program], conductor: str, performer: str) -> None:
    """Orchestrations signal and call an entity of another language, and a client sees what they made of it."""
    for language in {conductor, performer, "ours"}:
        working(language)

    key = fresh("shared")
    where = [performer, key]

    for orchestrator, total in ((f"{conductor}_counts", 11), ("ours_counts", 22)):
        assert hub.output_of(hub.client.schedule_new_orchestration(orchestrator, input=where)) == total

    entity = EntityInstanceId(f"{performer}_counter", key)
    hub.client.signal_entity(entity, "add", 20)
    hub.until(lambda: (found := hub.client.get_entity(entity)) is not None and found.get_state(int) == 42, "42")


@pytest.mark.timeout(BUILT_WITHIN + 20)
def test_section_over_entities_of_all_languages(hub: Hub, working: Callable[[str], Program]) -> None:
    for language in WITH_ENTITIES:
        working(language)

    assert hub.output_of(hub.client.schedule_new_orchestration("ours_locks", input=WITH_ENTITIES)) == [5, 5, 5]


def test_work_waits_for_the_worker_that_has_it(hub: Hub, working: Callable[[str], Program]) -> None:
    """What no filter names is given to nobody."""
    working("ours")
    nobody = hub.client.schedule_new_orchestration("cobol_child", input="x")
    hub.output_of(hub.client.schedule_new_orchestration("ours_child", input="x"))
    assert hub.status(nobody) is OrchestrationStatus.PENDING
