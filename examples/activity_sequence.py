"""Activity sequence: greet three cities, one after the other, each greeting on record before the next one starts."""

from __future__ import annotations

from durabletask_worker import ActivityContext, OrchestrationContext, Registry
from hub import PATIENCE, task_hub

registry = Registry()


@registry.activity
def say_hello(ctx: ActivityContext, city: str) -> str:
    """Greet a city."""
    return f"Hello, {city}!"


@registry.orchestrator
async def greet_cities(ctx: OrchestrationContext) -> list[str]:
    """Greet Tokyo, London and Seattle, in this order."""
    return [await ctx.call_activity(say_hello, input=city) for city in ("Tokyo", "London", "Seattle")]


def main() -> None:
    """Run it once."""
    with task_hub(__doc__, registry) as client:
        print(client.run_orchestration(greet_cities, timeout=PATIENCE))


if __name__ == "__main__":
    main()
