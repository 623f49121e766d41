"""How histories reach workers: spared to those who keep executions, refused where they are too large, and what nobody can read."""

from __future__ import annotations

import asyncio

from durabletask_backend.memory import MemoryBackend, MemoryStore
from durabletask_backend.mutations import AppendMessage
from durabletask_backend.values import Instance, InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import StreamOptions, WorkerStream
from durabletask_server.engine import lifecycle
from durabletask_server.instances import has_ended
from durabletask_server.settings import Settings
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.testing import ManualClock
from google.protobuf.wrappers_pb2 import StringValue

KEY = InstanceKey(DEFAULT_HUB, "i")
LEFT_OUT = "x-durabletask-past-events"


async def opened(store: MemoryStore | None = None, settings: Settings | None = None) -> TaskHubWorker:
    hub = TaskHubWorker(MemoryBackend(store), clock=ManualClock(), settings=settings)
    await hub.start()

    return hub


def connect(hub: TaskHubWorker, *, sticky: bool = False, history_streaming: bool = False) -> WorkerStream:
    return hub.dispatcher.open(
        StreamOptions(
            hub=DEFAULT_HUB, limits={}, filters=WorkFilters(), history_streaming=history_streaming, sticky=sticky
        )
    )


async def start(hub: TaskHubWorker, data: str | None = None) -> None:
    request = pb.CreateInstanceRequest(
        instanceId="i", name="n", input=None if data is None else StringValue(value=data)
    )
    await hub.instances.create(lifecycle.create(DEFAULT_HUB, request, hub.clock.now(), hub.new_id))


async def raise_event(hub: TaskHubWorker, data: str = "") -> None:
    request = pb.RaiseEventRequest(instanceId="i", name="e", input=StringValue(value=data))
    await hub.instances.send(lifecycle.raise_event(DEFAULT_HUB, request, hub.clock.now()))


async def turn(stream: WorkerStream) -> pb.WorkItem:
    async with asyncio.timeout(5):
        sent = await stream.outgoing()
    assert sent is not None
    (item,) = sent

    return pb.WorkItem.FromString(item)


async def answer(hub: TaskHubWorker, item: pb.WorkItem, response: pb.OrchestratorResponse | None = None) -> None:
    token = hub.signer_of(DEFAULT_HUB).read(item.completionToken)
    assert token is not None
    await hub.orchestrations.complete(KEY, token.attempt, response or pb.OrchestratorResponse())


async def ended(hub: TaskHubWorker) -> Instance:
    async with asyncio.timeout(5):
        instance = await hub.instances.wait(KEY, has_ended)
    assert instance is not None

    return instance


def failure(instance: Instance) -> pb.TaskFailureDetails:
    assert instance.failure is not None

    return pb.TaskFailureDetails.FromString(instance.failure)


async def test_a_worker_that_keeps_executions_is_spared_the_history_it_has() -> None:
    hub = await opened()
    stream = connect(hub, sticky=True)
    await start(hub)
    first = await turn(stream)
    await answer(hub, first)
    await raise_event(hub)
    second = await turn(stream)
    await answer(hub, second)
    await hub.close()

    assert LEFT_OUT not in first.orchestratorRequest.properties
    assert len(second.orchestratorRequest.pastEvents) == 0
    assert second.orchestratorRequest.properties[LEFT_OUT].number_value == 2
    assert [event.WhichOneof("eventType") for event in second.orchestratorRequest.newEvents] == [
        "orchestratorStarted",
        "eventRaised",
    ]


async def test_a_worker_that_has_lost_an_execution_gets_the_whole_history() -> None:
    hub = await opened()
    stream = connect(hub, sticky=True)
    await start(hub)
    await answer(hub, await turn(stream))
    await raise_event(hub)
    spared = await turn(stream)
    await answer(hub, spared, pb.OrchestratorResponse(requiresHistory=True))
    whole = await turn(stream)
    await answer(hub, whole)
    await raise_event(hub)
    again = await turn(stream)
    await hub.close()

    assert len(whole.orchestratorRequest.pastEvents) == 2
    assert whole.orchestratorRequest.newEvents == spared.orchestratorRequest.newEvents
    assert again.orchestratorRequest.properties[LEFT_OUT].number_value == 4


async def test_another_worker_gets_the_whole_history() -> None:
    hub = await opened()
    stream = connect(hub, sticky=True)
    await start(hub)
    await answer(hub, await turn(stream))
    hub.dispatcher.close(stream)
    other = connect(hub, sticky=True)
    await raise_event(hub)
    item = await turn(other)
    await hub.close()

    assert len(item.orchestratorRequest.pastEvents) == 2


async def test_no_sticky_worker_is_waited_for_while_another_has_room() -> None:
    hub = await opened()
    busy = hub.dispatcher.open(
        StreamOptions(
            hub=DEFAULT_HUB,
            limits=dict.fromkeys(hub.settings.default_limits, 1),
            filters=WorkFilters(),
            history_streaming=False,
            sticky=True,
        )
    )
    await start(hub)
    await answer(hub, await turn(busy))
    other_start = pb.CreateInstanceRequest(instanceId="j", name="n")
    await hub.instances.create(lifecycle.create(DEFAULT_HUB, other_start, hub.clock.now(), hub.new_id))
    await turn(busy)
    free = connect(hub, sticky=True)
    await raise_event(hub)
    item = await turn(free)
    await hub.close()

    assert item.orchestratorRequest.instanceId == "i"
    assert len(item.orchestratorRequest.pastEvents) == 2


async def test_an_instance_too_large_for_its_worker_fails_alone_and_names_the_limit() -> None:
    hub = await opened(settings=Settings(message_limit=1000))
    stream = connect(hub)
    await start(hub)
    await answer(hub, await turn(stream))
    await raise_event(hub, "x" * 1000)
    instance = await ended(hub)
    await hub.close()

    assert instance.status is RuntimeStatus.FAILED
    assert failure(instance).errorType == "MessageTooLarge"
    assert "1000" in failure(instance).errorMessage
    assert not stream.closed


async def test_a_worker_that_streams_histories_takes_what_would_be_too_large() -> None:
    hub = await opened(settings=Settings(message_limit=1500, streamed_history=500))
    stream = connect(hub, history_streaming=True)
    await start(hub, "x" * 800)
    await answer(hub, await turn(stream))
    await raise_event(hub, "x" * 800)
    item = await turn(stream)
    await hub.close()

    assert item.orchestratorRequest.requiresHistoryStreaming
    assert len(item.orchestratorRequest.pastEvents) == 0


async def test_a_message_that_nobody_can_read_fails_its_instance_and_says_so() -> None:
    hub = await opened()
    stream = connect(hub)
    await start(hub)
    await answer(hub, await turn(stream))
    await hub.instances.send(AppendMessage(key=KEY, payload=b"\xff"))
    instance = await ended(hub)
    await hub.close()

    assert instance.status is RuntimeStatus.FAILED
    assert "cannot be read" in failure(instance).errorMessage


async def test_a_history_that_nobody_can_read_fails_its_instance_and_says_so() -> None:
    store = MemoryStore()
    hub = await opened(store)
    stream = connect(hub)
    await start(hub)
    await answer(hub, await turn(stream))
    await hub.close()
    history = store.rows[KEY].history
    history[0] = history[0]._replace(events=b"\x1a\x02\xff\xff")
    hub = await opened(store)
    connect(hub)
    await raise_event(hub)
    instance = await ended(hub)
    await hub.close()

    assert instance.status is RuntimeStatus.FAILED
    assert "history cannot be read" in failure(instance).errorMessage
