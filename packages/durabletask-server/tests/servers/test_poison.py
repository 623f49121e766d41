"""What breaks its workers, or the engine itself, comes to an end; what only outlives their streams does not."""

from __future__ import annotations

import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.values import RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import orchestration
from durabletask_server.settings import Settings

from .answers import DONE, schedule
from .cluster import SECOND, cluster, settle


@pytest.mark.parametrize("shared", [False, True], ids=["a store for one server", "a store for many"])
async def test_a_turn_that_breaks_its_streams_fails_on(shared: bool) -> None:
    async with cluster() as servers:
        server = await servers.server(None if shared else MemoryBackend(), Settings(poison_limit=3))
        await server.start("i")

        for _ in range(3):
            server.connect()
            item = await server.next()
            assert item.orchestratorRequest.instanceId == "i"
            server.disconnect()
            await settle()

        ended = await server.ended("i")

    assert ended.status is RuntimeStatus.FAILED
    assert ended.failure is not None
    assert pb.TaskFailureDetails.FromString(ended.failure).errorType == "PoisonedWorkItem"


async def test_an_activity_that_takes_hours_survives_streams_that_are_renewed_now_and_then() -> None:
    async with cluster() as servers:
        server = await servers.server(MemoryBackend(), Settings(poison_limit=3))
        server.connect()
        await server.start("i")
        await server.answer(await server.next(), schedule(1))
        activity = await server.next()

        for _ in range(4):
            servers.clock.advance(1800 * SECOND)
            server.disconnect()
            server.connect()
            again = await server.next()
            assert again.activityRequest == activity.activityRequest

        await server.do(activity)
        told = (await server.next()).orchestratorRequest.newEvents[-1]

    assert told.taskCompleted.result.value == "1"


async def test_an_answer_that_the_engine_cannot_decide_leaves_no_instance_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("a defect")

    async with cluster() as servers:
        server = await servers.server(MemoryBackend())
        server.connect()
        await server.start("i")
        turn = await server.next()

        with monkeypatch.context() as patched:
            patched.setattr(orchestration, "decide", broken)

            with pytest.raises(RuntimeError, match="a defect"):
                await server.answer(turn, DONE)

        servers.clock.advance(30 * SECOND)
        await server.answer(await server.next(), DONE)
        ended = await server.ended("i")

    assert ended.status is RuntimeStatus.COMPLETED
