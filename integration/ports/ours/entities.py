"""Entities: accounts, and an orchestration that moves money from one to another while it has both locked.

python entities.py localhost:4001
"""

# Written as most users of the SDK write: without all the types.
# mypy: ignore-errors
from __future__ import annotations

import sys
import time

import durabletask_worker as task
from durabletask_client import EntityInstanceId, EntityQuery, TaskHubGrpcClient
from durabletask_worker import DurableEntity, EntityContext, TaskHubGrpcWorker


class Account(DurableEntity):
    def deposit(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        self.signal_entity(
            EntityInstanceId("journal", "main"), "note", f"{self.entity_context.entity_id.key} +{amount}"
        )

        return self.get_state(int, 0)

    def withdraw(self, amount: int) -> int:
        balance = self.get_state(int, 0)

        if balance < amount:
            raise ValueError(f"only {balance} left")

        self.set_state(balance - amount)

        return balance - amount

    def balance(self) -> int:
        return self.get_state(int, 0)


def journal(ctx: EntityContext, line: str):
    lines = ctx.get_state(list, [])

    if ctx.operation == "note":
        ctx.set_state([*lines, line])

    return len(lines)


def transfer(ctx: task.OrchestrationContext, order: dict):
    source, target = (EntityInstanceId("Account", order[side]) for side in ("from", "to"))

    with (yield ctx.lock_entities([source, target])):
        balance = yield ctx.call_entity(source, "balance")

        if balance < order["amount"]:
            return "not covered"

        left = yield ctx.call_entity(source, "withdraw", order["amount"])
        now = yield ctx.call_entity(target, "deposit", order["amount"])

    ctx.signal_entity(EntityInstanceId("journal", "main"), operation_name="note", input="transferred")

    return [left, now]


def overdraw(ctx: task.OrchestrationContext, key: str):
    try:
        yield ctx.call_entity(EntityInstanceId("Account", key), "withdraw", 1_000_000)
    except task.TaskFailedError as error:
        return "only 30 left" in str(error.details)

    return None


def main(address: str) -> None:
    with TaskHubGrpcWorker(host_address=address) as worker:
        worker.add_orchestrator(transfer)
        worker.add_orchestrator(overdraw)
        worker.add_entity(Account)
        worker.add_entity(journal)
        worker.start()

        with TaskHubGrpcClient(host_address=address) as client:
            client.signal_entity(EntityInstanceId("Account", "ada"), "deposit", 100)

            for order in (
                {"from": "ada", "to": "bob", "amount": 70},
                {"from": "ada", "to": "bob", "amount": 70},
            ):
                instance_id = client.schedule_new_orchestration(transfer, input=order)
                print(client.wait_for_orchestration_completion(instance_id, timeout=30).get_output())

            instance_id = client.schedule_new_orchestration(overdraw, input="ada")
            print(client.wait_for_orchestration_completion(instance_id, timeout=30).get_output())

            for _ in range(200):
                found = client.get_entity(EntityInstanceId("journal", "main"), include_state=True)

                if found is not None and "transferred" in (found.get_state() or ""):
                    break

                time.sleep(0.05)

            accounts = client.get_all_entities(EntityQuery(instance_id_starts_with="@account@", include_state=True))
            print(sorted((str(account.id), account.get_state(int)) for account in accounts))


if __name__ == "__main__":
    main(sys.argv[1])
