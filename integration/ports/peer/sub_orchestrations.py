"""Sub-orchestrations: a parcel service whose rounds start an orchestration a parcel, and begin anew until all are out.

python sub_orchestrations.py localhost:4001
"""

# Written as most users of the SDK write: without all the types.
# mypy: ignore-errors
from __future__ import annotations

import logging
import sys
from datetime import timedelta

from durabletask import task
from durabletask.client import OrchestrationQuery, OrchestrationStatus, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

log = logging.getLogger("parcels")


def weigh(ctx: task.ActivityContext, parcel: str) -> int:
    return len(parcel) * 100


def deliver(ctx: task.OrchestrationContext, parcel: str):
    weight = yield ctx.call_activity(weigh, input=parcel)

    if weight > 700:
        raise ValueError(f"{parcel} is too heavy: {weight} g")

    yield ctx.create_timer(timedelta(milliseconds=weight / 10))
    ctx.send_event(ctx.parent_instance_id or ctx.instance_id, "seen", data=parcel)

    return weight


def rounds(ctx: task.OrchestrationContext, plan: dict):
    logger = ctx.create_replay_safe_logger(log)
    now, rest = plan["parcels"][:2], plan["parcels"][2:]
    logger.info("a round of %d", len(now))
    children = [
        ctx.call_sub_orchestrator(deliver, input=parcel, instance_id=f"{ctx.instance_id}-{parcel}") for parcel in now
    ]
    done, failed = dict(plan["done"]), list(plan["failed"])

    for parcel, child in zip(now, children, strict=True):
        try:
            done[parcel] = yield child
        except task.TaskFailedError:
            failed.append(parcel)

    if rest:
        ctx.continue_as_new({"parcels": rest, "done": done, "failed": failed}, save_events=True)
        return None

    return {"done": done, "failed": failed}


def main(address: str) -> None:
    with TaskHubGrpcWorker(host_address=address) as worker:
        worker.add_orchestrator(rounds)
        worker.add_orchestrator(deliver)
        worker.add_activity(weigh)
        worker.start()

        with TaskHubGrpcClient(host_address=address) as client:
            plan = {"parcels": ["book", "anvil-of-iron", "tea", "cup", "kite"], "done": {}, "failed": []}
            instance_id = client.schedule_new_orchestration(rounds, input=plan, instance_id="parcels-of-today")
            state = client.wait_for_orchestration_completion(instance_id, fetch_payloads=True, timeout=30)
            print(state.get_output())

            failed = client.get_all_orchestration_states(
                OrchestrationQuery(runtime_status=[OrchestrationStatus.FAILED], fetch_inputs_and_outputs=True)
            )
            print([(each.instance_id, each.name, each.get_input()) for each in failed])
            result = client.purge_orchestrations_by(runtime_status=[OrchestrationStatus.FAILED])
            print(result.deleted_instance_count, client.get_orchestration_state(failed[0].instance_id))


if __name__ == "__main__":
    main(sys.argv[1])
