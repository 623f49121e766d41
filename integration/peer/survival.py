"""What outlives a server that is killed: one run of this program before, and one after.

    .venv-peer/bin/python integration/peer/survival.py localhost:4001 before|after

It ends with 0 when all is as it must be.
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import control
import entities
import flows
import reruns
import sections
from control import moment
from durabletask.client import EntityQuery, OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from entities import called, operating, state_of
from flows import listening
from reruns import two_halves
from runs import completed, equal, output_of, started, status, until
from sections import held, holding, locker
from workers import connected, serving

Status = OrchestrationStatus
ACCOUNT = EntityInstanceId("Account", "survivor")
TALLY = EntityInstanceId("Counter", "survivor")
DELAYED = EntityInstanceId("Counter", "delayed")
MODULES = (flows, control, entities, sections, reruns)
LATER = timedelta(seconds=2)


def before(client: TaskHubGrpcClient) -> None:
    """Leave things in the middle of what they do."""
    now = datetime.now(UTC)
    called(client, TALLY, "add", 42)
    owner = held(client, ACCOUNT.key, "other")
    waiting = started(client, holding, input={"keys": ["other", ACCOUNT.key], "then": "return"})
    caller = started(client, operating, input=[["Account", ACCOUNT.key, "put", 7]])
    client.signal_entity(DELAYED, "add", 5, signal_time=now + LATER)
    client.schedule_new_orchestration(moment, instance_id="scheduled", start_at=now + LATER)
    failed = client.schedule_new_orchestration(two_halves, input="survivor", instance_id="failed")
    equal(completed(client, failed).runtime_status, Status.FAILED)

    suspended = client.schedule_new_orchestration(listening, input=5, instance_id="suspended")
    client.wait_for_orchestration_start(suspended)
    client.suspend_orchestration(suspended)
    until(lambda: status(client, suspended) is Status.SUSPENDED, "suspended")

    for number in range(5):
        client.raise_orchestration_event(suspended, "news", data=number)

    # Whose ids the second run needs, it finds with the entity.
    called(client, EntityInstanceId("journal", "ids"), "append", [owner, waiting, caller])


def after(client: TaskHubGrpcClient) -> None:
    """Everything goes on."""
    [[owner, waiting, caller]] = called(client, EntityInstanceId("journal", "ids"), "read")
    equal((state_of(client, TALLY), called(client, TALLY, "add", 1)), (42, 43))
    equal((status(client, "suspended"), status(client, "failed")), (Status.SUSPENDED, Status.FAILED))
    equal([locker(client, key) for key in (ACCOUNT.key, "other")], [owner, owner])
    equal((status(client, waiting), status(client, caller)), (Status.RUNNING, Status.RUNNING))

    client.raise_orchestration_event(owner, "go")
    equal(output_of(client, owner), [0, 0])
    until(lambda: client.get_orchestration_state(waiting).get_custom_status() == "held", "the next one has the locks")
    client.raise_orchestration_event(waiting, "go")
    output_of(client, waiting)
    output_of(client, caller)
    equal(called(client, ACCOUNT, "get"), 7)
    equal([locker(client, key) for key in (ACCOUNT.key, "other")], [None, None])

    client.resume_orchestration("suspended")
    equal(output_of(client, "suspended"), list(range(5)))
    client.rewind_orchestration("failed")
    equal(completed(client, "failed").runtime_status, Status.FAILED, "it was not put right, and was tried")
    assert output_of(client, "scheduled")
    until(lambda: state_of(client, DELAYED) == 5, "the delayed signal came")
    equal(len(client.get_all_entities(EntityQuery(instance_id_starts_with="@counter@"))), 2)


def main(address: str, phase: str) -> None:
    parts = {
        part: [each for module in MODULES for each in getattr(module, part.upper(), ())]
        for part in ("orchestrators", "activities", "entities")
    }

    with serving(address, **parts), connected(address) as client:
        {"before": before, "after": after}[phase](client)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
