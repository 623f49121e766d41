"""Task hubs: what has the same name in two of them has nothing to do with each other."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import grpc
from durabletask.client import EntityQuery, OrchestrationQuery, OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.internal.orchestrator_service_pb2 import CreateTaskHubRequest, DeleteTaskHubRequest
from entities import Counter, called, operating, state_of
from filters import greeter, routed
from runs import equal, fresh, output_of, refused, stub
from workers import Metadata, connected, serving


@contextmanager
def hub(address: str) -> Generator[Metadata]:
    """A hub of a new name, in the metadata that names it, for as long as it is needed."""
    metadata = [("taskhub", fresh("hub"))]

    with connected(address, metadata=metadata) as client:
        stub(client).CreateTaskHub(CreateTaskHubRequest())
        yield metadata
        stub(client).DeleteTaskHub(DeleteTaskHubRequest())


def scenario_hubs_are_apart(address: str) -> None:
    instance_id = fresh("same")

    with (
        hub(address) as first,
        hub(address) as second,
        serving(address, orchestrators=[routed], activities=[greeter("first")], metadata=first),
        serving(address, orchestrators=[routed], activities=[greeter("second")], metadata=second),
        connected(address, metadata=first) as mine,
        connected(address, metadata=second) as theirs,
        connected(address) as default,
    ):
        for client in (mine, theirs):
            client.schedule_new_orchestration(routed, input=3, instance_id=instance_id)

        equal((output_of(mine, instance_id), output_of(theirs, instance_id)), (["first"] * 3, ["second"] * 3))
        equal(default.get_orchestration_state(instance_id), None)
        equal(default.get_all_orchestration_states(OrchestrationQuery(instance_id_prefix=instance_id)), [])
        equal(mine.purge_orchestration(instance_id).deleted_instance_count, 1)
        equal(theirs.get_orchestration_state(instance_id).runtime_status, OrchestrationStatus.COMPLETED)
        equal([found.id for found in theirs.get_all_entities(EntityQuery())], [])


def scenario_hubs_have_entities_of_their_own(address: str) -> None:
    entity = EntityInstanceId("Counter", fresh("same"))

    with (
        hub(address) as first,
        hub(address) as second,
        serving(address, orchestrators=[operating], entities=[Counter], metadata=first),
        serving(address, orchestrators=[operating], entities=[Counter], metadata=second),
        connected(address, metadata=first) as mine,
        connected(address, metadata=second) as theirs,
    ):
        equal((called(mine, entity, "add", 2), called(theirs, entity, "add", 3)), (2, 3))
        equal((state_of(mine, entity), state_of(theirs, entity)), (2, 3))
        equal(len(mine.get_all_entities()), 1)


def scenario_hub_that_is_not_there(address: str) -> None:
    name = fresh("nowhere")

    with connected(address, metadata=[("taskhub", name)]) as client:
        with refused(grpc.StatusCode.NOT_FOUND, naming=name):
            client.schedule_new_orchestration(routed)

        with refused(grpc.StatusCode.NOT_FOUND, naming=name):
            client.signal_entity(EntityInstanceId("Counter", "one"), "add", 1)


def scenario_hub_that_is_deleted(address: str) -> None:
    with connected(address, metadata=[("taskhub", fresh("deleted"))]) as client:
        stub(client).CreateTaskHub(CreateTaskHubRequest())

        for _ in range(2):
            instance_id = client.schedule_new_orchestration(routed, input=1, instance_id="one")
            client.signal_entity(EntityInstanceId("Counter", "one"), "add", 1)
            equal(client.get_orchestration_state(instance_id).runtime_status, OrchestrationStatus.PENDING)
            stub(client).CreateTaskHub(CreateTaskHubRequest(recreateIfExists=True))
            equal(client.get_all_orchestration_states(), [])
            equal(client.get_all_entities(EntityQuery(include_transient=True)), [])

        stub(client).DeleteTaskHub(DeleteTaskHubRequest())

        with refused(grpc.StatusCode.NOT_FOUND, naming="deleted"):
            client.get_all_orchestration_states()
