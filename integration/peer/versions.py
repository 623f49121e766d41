"""Versions: which a worker takes, what becomes of the others, and where a version comes from."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

from durabletask import history
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.task import OrchestrationContext
from durabletask.worker import VersionFailureStrategy, VersioningOptions, VersionMatchStrategy
from runs import Flow, completed, equal, output_of, status, until
from workers import Calls, connected, serving

Status = OrchestrationStatus
ABANDON = "AbandonTaskOrchestratorWorkItem"
SPINNING = 0.2
"""Seconds between two hand-outs of what is rejected: a server that does not wait needs a few thousandths."""


def reporting(ctx: OrchestrationContext, _: None) -> str | None:
    return ctx.version


def comparing(ctx: OrchestrationContext, _: None) -> Flow:
    """The versions of a parent, of a child that is given none, and of one that is given one."""
    plain = yield ctx.call_sub_orchestrator(reporting)
    given = yield ctx.call_sub_orchestrator(reporting, version="9.9")

    return [ctx.version, plain, given]


def upgrading(ctx: OrchestrationContext, path: list[str | None]) -> list[str | None] | None:
    if len(path) == 3:
        return [*path, ctx.version]

    # No new version is: the same again.
    new_version = "2.0" if len(path) == 1 else None
    ctx.continue_as_new([*path, ctx.version], new_version=new_version)

    return None


def strictly(version: str, otherwise: VersionFailureStrategy) -> VersioningOptions:
    return VersioningOptions(version=version, match_strategy=VersionMatchStrategy.STRICT, failure_strategy=otherwise)


def up_to(version: str, otherwise: VersionFailureStrategy) -> VersioningOptions:
    strategy = VersionMatchStrategy.CURRENT_OR_OLDER
    return VersioningOptions(version=version, match_strategy=strategy, failure_strategy=otherwise)


def _run(client: TaskHubGrpcClient, version: str | None, orchestrator: Any = reporting, value: Any = None) -> Any:
    return output_of(client, client.schedule_new_orchestration(orchestrator, input=value, version=version))


def _mismatched(client: TaskHubGrpcClient, version: str | None) -> None:
    state = completed(client, client.schedule_new_orchestration(reporting, version=version))
    equal((state.runtime_status, state.failure_details.error_type), (Status.FAILED, "VersionMismatch"))


def scenario_version_of_no_concern(address: str) -> None:
    options = VersioningOptions("1.0", None, VersionMatchStrategy.NONE, VersionFailureStrategy.REJECT)

    with connected(address) as client, serving(address, orchestrators=[reporting], versioning=options):
        equal([_run(client, version) for version in ("0.1", "1.0", "7.0", None)], ["0.1", "1.0", "7.0", None])


def scenario_version_must_be_the_same(address: str) -> None:
    options = strictly("1.0", VersionFailureStrategy.FAIL)

    with connected(address) as client, serving(address, orchestrators=[reporting], versioning=options):
        equal(_run(client, "1.0"), "1.0")

        for version in ("2.0", "0.9", None):
            _mismatched(client, version)


def scenario_version_may_be_older(address: str) -> None:
    options = up_to("2.0", VersionFailureStrategy.FAIL)

    with connected(address) as client, serving(address, orchestrators=[reporting], versioning=options):
        equal([_run(client, version) for version in ("1.0", "2.0", None)], ["1.0", "2.0", None])
        _mismatched(client, "10.0")


def _rejected(address: str, mine: VersioningOptions, theirs: VersioningOptions) -> None:
    """An instance of version 3.0 waits for a worker that takes it, and neither spins nor stands in the way."""
    calls = Calls()

    with connected(address) as client:
        with serving(address, orchestrators=[reporting], versioning=mine, calls=calls):
            instance_id = client.schedule_new_orchestration(reporting, version="3.0")
            until(lambda: len(calls.times(ABANDON)) >= 2, "it is rejected twice")
            first, second = calls.times(ABANDON)[:2]
            assert second - first > SPINNING, f"it was handed out again after {second - first:.3f} s"
            equal(status(client, instance_id), Status.PENDING)
            equal(_run(client, "1.0"), "1.0")

            with serving(address, orchestrators=[reporting], versioning=theirs):
                equal(output_of(client, instance_id), "3.0")

        events = client.get_orchestration_history(instance_id)
        equal([event.version for event in events if isinstance(event, history.ExecutionStartedEvent)], ["3.0"])
        equal(len(events), 3, "what was rejected is not in the history")


def scenario_version_rejected_by_the_strict(address: str) -> None:
    reject = VersionFailureStrategy.REJECT
    _rejected(address, strictly("1.0", reject), strictly("3.0", reject))


def scenario_version_rejected_by_the_older(address: str) -> None:
    reject = VersionFailureStrategy.REJECT
    _rejected(address, up_to("2.0", reject), up_to("3.0", reject))


def scenario_version_of_children(address: str) -> None:
    options = VersioningOptions("1.0", "7.0", VersionMatchStrategy.NONE, VersionFailureStrategy.REJECT)
    parts = [comparing, reporting]

    with connected(address) as client:
        with serving(address, orchestrators=parts, versioning=options):
            equal(_run(client, "1.0", comparing), ["1.0", "7.0", "9.9"])

        with serving(address, orchestrators=parts):
            equal(_run(client, "1.0", comparing), ["1.0", None, "9.9"], "a child does not inherit its parent's version")


def scenario_version_of_the_next_generation(address: str) -> None:
    with connected(address) as client, serving(address, orchestrators=[upgrading]):
        equal(_run(client, "1.0", upgrading, []), ["1.0", "1.0", "2.0", "2.0"])


def scenario_version_of_the_client(address: str) -> None:
    with connected(address, default_version="4.2") as client, serving(address, orchestrators=[reporting]):
        equal([_run(client, None), _run(client, "5.0")], ["4.2", "5.0"])
