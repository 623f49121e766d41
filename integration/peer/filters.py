"""Work-item filters: who gets what, and what waits when nobody does."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.task import ActivityContext, OrchestrationContext, when_all
from durabletask.worker import (
    ActivityWorkItemFilter,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    VersionFailureStrategy,
    WorkItemFilters,
)
from runs import Flow, equal, fresh, output, output_of, status
from versions import strictly
from workers import connected, serving

Status = OrchestrationStatus


def routed(ctx: OrchestrationContext, count: int) -> Flow:
    """Who has done each of so many activities."""
    return (yield when_all([ctx.call_activity("greet", input=number) for number in range(count)]))


def visiting(ctx: OrchestrationContext, key: str) -> Flow:
    done = yield ctx.call_activity("greet", input=0)
    kept = yield ctx.call_entity(EntityInstanceId("visitors", key), "who")

    return [done, kept]


def unserved(_: OrchestrationContext, value: int) -> int:
    return value


def greeter(who: str) -> Callable[..., Any]:
    """An activity that says who has done it."""

    def greet(_: ActivityContext, __: int) -> str:
        return who

    return greet


def visited(who: str) -> Callable[..., Any]:
    """An entity that says who has done it."""

    def visitors(_: EntityContext, __: None) -> str:
        return who

    return visitors


def teller(who: str) -> Callable[..., Any]:
    """An orchestrator that says who has run it."""

    def telling_who(_: OrchestrationContext, __: None) -> str:
        return who

    return telling_who


def scenario_filters_part_the_kinds(address: str) -> None:
    key = fresh("parted")

    with (
        connected(address) as client,
        serving(address, orchestrators=[visiting], only_its_own=True),
        serving(address, activities=[greeter("activities")], only_its_own=True),
        serving(address, entities=[visited("entities")], only_its_own=True),
    ):
        equal(output(client, visiting, input=key), ["activities", "entities"])


def scenario_filters_part_the_names(address: str) -> None:
    orders = [teller("mine"), teller("other")]
    mine = WorkItemFilters(orchestrations=[OrchestrationWorkItemFilter("telling_who")])
    rest = WorkItemFilters(
        orchestrations=[OrchestrationWorkItemFilter("visiting")],
        activities=[ActivityWorkItemFilter("greet")],
        entities=[EntityWorkItemFilter("Visitors")],
    )

    with (
        connected(address) as client,
        serving(address, orchestrators=[orders[0], visiting], filters=mine),
        serving(
            address,
            orchestrators=[orders[1], visiting],
            activities=[greeter("rest")],
            entities=[visited("rest")],
            filters=rest,
        ),
    ):
        made = [client.schedule_new_orchestration(orders[0]) for _ in range(20)]
        equal({output_of(client, instance_id) for instance_id in made}, {"mine"})
        equal(output(client, visiting, input=fresh("rest")), ["rest", "rest"])


def scenario_filters_part_the_versions(address: str) -> None:
    orders = {version: teller(version) for version in ("1.0", "2.0")}

    def only(version: str) -> WorkItemFilters:
        return WorkItemFilters(orchestrations=[OrchestrationWorkItemFilter("telling_who", [version])])

    with (
        connected(address) as client,
        serving(address, orchestrators=[orders["1.0"]], filters=only("1.0")),
        serving(address, orchestrators=[orders["2.0"]], filters=only("2.0")),
    ):
        versions = ["1.0", "2.0"] * 10
        made = [client.schedule_new_orchestration("telling_who", version=version) for version in versions]
        equal([output_of(client, instance_id) for instance_id in made], versions)


def scenario_filters_leave_the_rest_to_others(address: str) -> None:
    """A worker without filters takes all, and one with filters takes part only in its own."""
    with (
        connected(address) as client,
        serving(address, activities=[greeter("filtered")], only_its_own=True),
        serving(address, orchestrators=[routed], activities=[greeter("open")]),
    ):
        done = output(client, routed, input=40)
        equal(set(done), {"filtered", "open"}, "both have room for what both take")


def scenario_unserved_instance_waits(address: str) -> None:
    with connected(address) as client, serving(address, orchestrators=[teller("served")], only_its_own=True):
        waiting = [client.schedule_new_orchestration(unserved, input=number) for number in range(5)]
        equal(output(client, teller("served")), "served", "they do not stand in the way of others")
        equal({status(client, instance_id) for instance_id in waiting}, {Status.PENDING})

        with serving(address, orchestrators=[unserved], only_its_own=True):
            equal([output_of(client, instance_id) for instance_id in waiting], list(range(5)))


def scenario_unserved_activity_waits(address: str) -> None:
    with connected(address) as client, serving(address, orchestrators=[routed, unserved], only_its_own=True):
        instance_id = client.schedule_new_orchestration(routed, input=1)
        client.wait_for_orchestration_start(instance_id)
        equal(output(client, unserved, input=3), 3)
        equal(status(client, instance_id), Status.RUNNING)

        with serving(address, activities=[greeter("late")], only_its_own=True):
            equal(output_of(client, instance_id), ["late"])


def scenario_filters_of_a_strict_worker(address: str) -> None:
    """The SDK's filter names the worker's version for its activities too, which it schedules without one."""
    strict = strictly("3.0.0", VersionFailureStrategy.REJECT)

    with (
        connected(address) as client,
        serving(address, orchestrators=[routed], activities=[greeter("strict")], versioning=strict, only_its_own=True),
    ):
        instance_id = client.schedule_new_orchestration(routed, input=2, version="3.0.0")
        equal(output_of(client, instance_id), ["strict", "strict"])

        other = client.schedule_new_orchestration(routed, input=2, version="2.0.0")
        equal(output_of(client, client.schedule_new_orchestration(routed, input=1, version="3.0.0")), ["strict"])
        equal(status(client, other), Status.PENDING)
        client.terminate_orchestration(other)
        equal(client.wait_for_orchestration_completion(other).runtime_status, Status.TERMINATED)
