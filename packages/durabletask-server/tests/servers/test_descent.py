"""A termination that passes on through instances that have ended."""

from __future__ import annotations

from durabletask_backend.testing import FaultyBackend

from .answers import DONE, child
from .cluster import cluster, settle


async def test_a_termination_comes_to_rest_in_a_circle_of_instances_that_have_ended() -> None:
    async with cluster() as servers:
        backend = FaultyBackend()
        server = await servers.server(backend)
        server.connect()
        await server.start("first")
        await server.answer(await server.next(), child(1, "second"), DONE)
        # Its child takes the place of its parent.
        await server.answer(await server.next(), child(1, "first"), DONE)
        await server.answer(await server.next(), DONE)
        await server.ended("first")
        await server.ended("second")
        before = len(backend.batches)
        await server.terminate("first", recursive=True)
        await settle(1000)
        batches = len(backend.batches) - before

    # It goes round once.
    assert 1 <= batches <= 4
