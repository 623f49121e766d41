"""Bank transfer: accounts are entities; a transfer locks two of them, so that no money is lost or made, whatever else goes on."""

from __future__ import annotations

from dataclasses import dataclass

from durabletask_client import EntityInstanceId
from durabletask_worker import OrchestrationContext, Registry, when_all
from hub import PATIENCE, task_hub

registry = Registry()


@dataclass
class Transfer:
    """Money on its way from one account to another."""

    source: str
    target: str
    cents: int


@registry.entity
@dataclass
class Account:
    """An account, whose state is its balance."""

    cents: int = 0

    def deposit(self, cents: int) -> None:
        """Put money in."""
        self.cents += cents

    def withdraw(self, cents: int) -> None:
        """Take money out."""
        self.cents -= cents

    def balance(self) -> int:
        """Say how much there is."""
        return self.cents


@registry.orchestrator
async def transfer(ctx: OrchestrationContext, order: Transfer) -> bool:
    """Move money, if the source has it. Until it is done, nobody else gets at the two accounts."""
    source, target = ctx.entity(Account, order.source), ctx.entity(Account, order.target)

    async with ctx.lock_entities([source, target]):
        if await source.call(Account.balance) < order.cents:
            return False

        await source.call(Account.withdraw, order.cents)
        await target.call(Account.deposit, order.cents)

    return True


@registry.orchestrator
async def balances(ctx: OrchestrationContext, accounts: list[str]) -> dict[str, int]:
    """Read accounts at one moment: with all of them locked, no transfer is half done."""
    found = [ctx.entity(Account, name) for name in accounts]

    async with ctx.lock_entities(found):
        cents = await when_all([account.call(Account.balance) for account in found])

    return dict(zip(accounts, cents, strict=True))


def main() -> None:
    """Transfer back and forth, many at the same time."""
    people = ["ada", "bob", "eve"]

    with task_hub(__doc__, registry) as client:
        for name in people:
            client.signal_entity(EntityInstanceId("account", name), Account.deposit, 100_00)

        moved = client.run_orchestration(transfer, input=Transfer("ada", "bob", 25_00), timeout=PATIENCE)
        print(f"25.00 from ada to bob: {'done' if moved else 'refused'}")
        moved = client.run_orchestration(transfer, input=Transfer("eve", "bob", 999_00), timeout=PATIENCE)
        print(f"999.00 from eve to bob: {'done' if moved else 'refused'}")

        orders = [
            Transfer(source, target, 1_00)
            for source in people
            for target in people
            if source != target
            for _ in range(3)
        ]
        running = [client.schedule_new_orchestration(transfer, input=order) for order in orders]

        for instance_id in running:
            client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)

        found = client.run_orchestration(balances, input=people, timeout=PATIENCE)
        print(", ".join(f"{name} has {cents / 100:.2f}" for name, cents in found.items()))
        print(f"{sum(found.values()) / 100:.2f} in all, after {len(running)} transfers at the same time")


if __name__ == "__main__":
    main()
