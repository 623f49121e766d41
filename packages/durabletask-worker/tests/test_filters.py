"""Which work a worker asks for."""

from __future__ import annotations

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import (
    ActivityContext,
    ActivityWorkItemFilter,
    EntityContext,
    EntityWorkItemFilter,
    OrchestrationContext,
    OrchestrationWorkItemFilter,
    Registry,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
)


def orchestrator(ctx: OrchestrationContext) -> None: ...


def activity(_: ActivityContext) -> None: ...


def entity(ctx: EntityContext) -> None: ...


def registry(*versions: str | None) -> Registry:
    made = Registry()
    made.add_activity(activity, name="Charge")
    made.add_entity(entity, name="Counter")

    for version in versions:
        made.add_orchestrator(orchestrator, name="pay", version=version)

    return made


@pytest.mark.parametrize(
    ("registered", "options", "versions"),
    [
        ((None,), VersioningOptions(), ()),
        (("1.0", "2.0"), VersioningOptions(), ("1.0", "2.0")),
        (("1.0", None), VersioningOptions(), ()),
        ((None,), VersioningOptions(version="2.0"), ()),
        ((None,), VersioningOptions(version="2.0", match_strategy=VersionMatchStrategy.CURRENT_OR_OLDER), ()),
        ((None,), VersioningOptions(version="2.0", match_strategy=VersionMatchStrategy.STRICT), ("2.0",)),
        (("1.0", "2.0"), VersioningOptions(version="2.0", match_strategy=VersionMatchStrategy.STRICT), ("2.0",)),
        ((None,), VersioningOptions(match_strategy=VersionMatchStrategy.STRICT), ("",)),
    ],
)
def test_what_is_registered_is_asked_for(
    registered: tuple[str | None, ...], options: VersioningOptions, versions: tuple[str, ...]
) -> None:
    assert WorkItemFilters.of(registry(*registered), options) == WorkItemFilters(
        orchestrations=(OrchestrationWorkItemFilter(name="pay", versions=versions),),
        activities=(ActivityWorkItemFilter(name="Charge"),),
        entities=(EntityWorkItemFilter(name="counter"),),
    )


def test_who_has_nothing_wants_nothing() -> None:
    assert WorkItemFilters.of(Registry(), VersioningOptions()).to_proto() == pb.WorkItemFilters()


def test_the_message() -> None:
    filters = WorkItemFilters(
        orchestrations=(OrchestrationWorkItemFilter(name="pay", versions=("1.0", "")),),
        activities=(ActivityWorkItemFilter(name="charge", versions=("2.0",)),),
        entities=(EntityWorkItemFilter(name="counter"),),
    )

    assert filters.to_proto() == pb.WorkItemFilters(
        orchestrations=[pb.OrchestrationFilter(name="pay", versions=["1.0", ""])],
        activities=[pb.ActivityFilter(name="charge", versions=["2.0"])],
        entities=[pb.EntityFilter(name="counter")],
    )
