"""Which work a worker wants, by the rules of `WorkItemFilters`."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.dispatch.filters import WorkFilters, filters_of
from durabletask_server.dispatch.stream import Kind


def orchestrations(**wanted: Sequence[str]) -> WorkFilters:
    return WorkFilters({Kind.ORCHESTRATION: wanted, Kind.ACTIVITY: {}, Kind.ENTITY: {}})


def test_without_filters_everything_is_wanted() -> None:
    filters = filters_of(pb.GetWorkItemsRequest())

    assert all(filters.admits(kind, "any", "9") for kind in Kind)
    assert filters.names(Kind.ACTIVITY) is None


def test_with_filters_only_what_they_name() -> None:
    asked = pb.WorkItemFilters(
        orchestrations=[pb.OrchestrationFilter(name="Order", versions=["1.0", "2.0"])],
        entities=[pb.EntityFilter(name="counter")],
    )
    filters = filters_of(pb.GetWorkItemsRequest(workItemFilters=asked))

    assert filters.admits(Kind.ORCHESTRATION, "order", "1.0")
    assert not filters.admits(Kind.ORCHESTRATION, "Order", "3.0")
    assert not filters.admits(Kind.ORCHESTRATION, "Order")
    assert not filters.admits(Kind.ACTIVITY, "Order")
    assert filters.admits(Kind.ENTITY, "Counter")
    assert filters.names(Kind.ACTIVITY) == frozenset()


def test_no_versions_mean_any() -> None:
    assert orchestrations(n=()).admits(Kind.ORCHESTRATION, "N", "7")


@pytest.mark.parametrize(("second", "admitted"), [(["2"], True), ([], True), (["3"], False)])
def test_a_name_that_is_given_twice_is_wanted_in_the_versions_of_both(second: list[str], admitted: bool) -> None:
    asked = pb.WorkItemFilters(
        orchestrations=[
            pb.OrchestrationFilter(name="n", versions=["1"]),
            pb.OrchestrationFilter(name="N", versions=second),
        ]
    )
    filters = filters_of(pb.GetWorkItemsRequest(workItemFilters=asked))

    assert filters.admits(Kind.ORCHESTRATION, "n", "1")
    assert filters.admits(Kind.ORCHESTRATION, "n", "2") is admitted


def test_an_empty_version_is_no_version() -> None:
    assert orchestrations(n=("",)).admits(Kind.ORCHESTRATION, "n")
    assert not orchestrations(n=("",)).admits(Kind.ORCHESTRATION, "n", "1")


def test_versions_are_compared_without_regard_to_case() -> None:
    assert orchestrations(n=("1.0-Beta",)).admits(Kind.ORCHESTRATION, "n", "1.0-BETA")


def test_an_activity_without_a_version_has_that_of_its_orchestration() -> None:
    filters = WorkFilters({Kind.ACTIVITY: {"a": ["3.0.0"]}})

    assert filters.admits(Kind.ACTIVITY, "a", None, "3.0.0")
    assert not filters.admits(Kind.ACTIVITY, "a", None, "2.0.0")
    assert not filters.admits(Kind.ACTIVITY, "a", "2.0.0", "3.0.0")
    assert filters.admits(Kind.ACTIVITY, "a", "3.0.0", "2.0.0")


def test_a_kind_that_is_not_mentioned_is_not_wanted_and_one_without_names_is_wanted_whole() -> None:
    filters = WorkFilters({Kind.ACTIVITY: None, Kind.ENTITY: {}})

    assert filters.admits(Kind.ACTIVITY, "any", "1")
    assert filters.names(Kind.ACTIVITY) is None
    assert not filters.admits(Kind.ENTITY, "any")
    assert not filters.admits(Kind.ORCHESTRATION, "any")
    assert filters.names(Kind.ORCHESTRATION) == frozenset()


def test_names_are_told_in_the_lower_case_that_stores_keep() -> None:
    assert orchestrations(Straße=()).names(Kind.ORCHESTRATION) == frozenset({"straße"})


def test_filters_are_equal_when_they_want_the_same() -> None:
    filters = orchestrations(Order=("1.0", "2.0-A"))
    same = orchestrations(ORDER=("2.0-a", "1.0"))

    assert filters == same
    assert hash(filters) == hash(same)
    assert filters != orchestrations(Order=("1.0",))
    assert filters != orchestrations(Order=())
    assert filters != WorkFilters()
