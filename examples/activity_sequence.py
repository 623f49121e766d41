"""Activity sequence: greet three cities, one after the other, each greeting on record before the next one starts."""

from __future__ import annotations

from durabletask_client import TaskHubGrpcClient
from durabletask_worker import ActivityContext, OrchestrationContext, TaskHubGrpcWorker
from hub import result, task_hub


def say_hello(ctx: ActivityContext, city: str) -> str:
    """Greet a city."""
    return f"Hello, {city}!"


async def greet_cities(ctx: OrchestrationContext) -> list[str]:
    """Greet Tokyo, London and Seattle, in this order."""
    return [await ctx.call_activity(say_hello, input=city) for city in ("Tokyo", "London", "Seattle")]


def main() -> None:
    """Run it once."""
    with task_hub(__doc__) as address, TaskHubGrpcWorker(host_address=address) as worker:
        worker.add_orchestrator(greet_cities)
        worker.add_activity(say_hello)
        worker.start()

        with TaskHubGrpcClient(host_address=address) as client:
            instance_id = client.schedule_new_orchestration(greet_cities)
            print(result(client, instance_id, list[str]))


if __name__ == "__main__":
    main()
