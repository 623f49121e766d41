"""The load of `embedded.py` on DBOS; runs in the environment of DBOS, and knows nothing of ours.

python benchmarks/embedded_dbos.py FILE COUNT AT_A_TIME ONE_BY_ONE WIDTH
"""

# What this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS


@DBOS.step()
def step(number: int) -> int:
    return number + 1


@DBOS.workflow()
def three(number: int) -> int:
    for _ in range(3):
        number = step(number)

    return number


@DBOS.workflow()
def one(number: int) -> int:
    return step(number)


@DBOS.step()
async def async_step(number: int) -> int:
    return number + 1


@DBOS.workflow()
async def fan_out(width: int) -> int:
    return sum(await asyncio.gather(*map(async_step, range(width))))


def main(file: str, count: int, at_a_time: int, one_by_one: int, width: int) -> None:
    began = time.perf_counter()
    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": f"sqlite:///{file}",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    started_up = time.perf_counter() - began

    with ThreadPoolExecutor(at_a_time) as threads:
        list(threads.map(three, range(at_a_time)))
        began = time.perf_counter()
        assert list(threads.map(three, range(count))) == [number + 3 for number in range(count)]
        per_second = count / (time.perf_counter() - began)

    took = []
    for number in range(one_by_one):
        began = time.perf_counter()
        assert one(number) == number + 1
        took.append(time.perf_counter() - began)

    began = time.perf_counter()
    assert asyncio.run(fan_out(width)) == width * (width + 1) // 2
    fanned_out = time.perf_counter() - began
    DBOS.destroy()

    seen = {
        "per_second": per_second,
        "latencies": took,
        "fan_out": fanned_out,
        "start_up": started_up,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
