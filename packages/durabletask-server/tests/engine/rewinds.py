"""Rewinding in a world."""

from __future__ import annotations

from durabletask_backend.mutations import Code
from durabletask_backend.values import InstanceKey, RuntimeStatus
from durabletask_server.engine.rewind import Found, rewind
from durabletask_server.engine.state import fold

from .replay import All, Context, Flow
from .world import HUB, World


def read(world: World) -> dict[InstanceKey, Found]:
    return {key: Found(instance=row.instance, history=row.history) for key, row in world.rows.items()}


def rewound(world: World, instance_id: str, reason: str | None = None) -> None:
    """Rewind an instance; nothing has run since."""
    mutation = rewind(InstanceKey(HUB, instance_id), read(world), reason, world.now, world.new_id)
    assert world.apply(mutation).code is Code.APPLIED

    for turn in mutation.turns:
        row = world.rows[turn.key]
        row.history = turn.history
        row.state = fold(row.instance, row.history)
        assert row.state.length == turn.history_count


def status(world: World, instance_id: str) -> RuntimeStatus:
    return world.instance(instance_id).status


def leaf(ctx: Context) -> Flow:
    """An orchestrator that returns what its one activity does."""
    (result,) = yield All([ctx.call("work")])

    return result
