"""Tasks per second through the kernel with the scripted core, in memory and durable, compared with the core alone.

Run: python -m benchmarks.kernel_throughput [TASKS]
The three alternate, several times; quote the medians and their ratios.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.agents.catalogue import load_catalogue
from engine.cores.port import Attempt, Message
from engine.cores.scripted import ScriptedCore
from engine.kernel import Kernel
from engine.scheduling import parse_policy
from engine.store import MemoryStore, Store
from engine.task import TaskSpec
from persistence import SqliteStore

CORE = "tokens=5,tps=0,ttft=0"
ROUNDS = 5


async def core_alone(tasks: int) -> float:
    """The baseline: the same attempts, one after another, without a kernel."""
    core = ScriptedCore.parse(CORE)
    slot = core.slots()[0]
    begun = time.perf_counter()
    for number in range(tasks):
        async for _ in core.run(Attempt(number, 1, 1, (Message("user", f"prompt {number}"),)), slot):
            pass
    return tasks / (time.perf_counter() - begun)


async def through_kernel(tasks: int, store: Store) -> float:
    """Queue all tasks, then run them: times dispatching, executing and recording, but not submitting."""
    await store.open()
    agents, _ = load_catalogue(None)
    kernel = Kernel(cores=[ScriptedCore.parse(CORE)], store=store, agents=agents, policy=parse_policy("npps"))
    await kernel.start(paused=True)
    ids = await kernel.submit_many([TaskSpec(prompt=f"prompt {n}", priority=n % 10) for n in range(tasks)])
    begun = time.perf_counter()
    kernel.resume()
    await asyncio.gather(*map(kernel.wait, ids))
    took = time.perf_counter() - begun
    await kernel.stop()
    await store.close()
    return tasks / took


async def in_memory(tasks: int) -> float:
    return await through_kernel(tasks, MemoryStore())


async def durable(tasks: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return await through_kernel(tasks, SqliteStore(Path(folder) / "history" / "bench.sqlite3"))


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    kinds: dict[str, Callable[[int], Awaitable[float]]] = {
        "core alone": core_alone,
        "in memory": in_memory,
        "durable": durable,
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}

    async def one(kind: Callable[[int], Awaitable[float]]) -> float:
        return await kind(tasks)

    for _ in range(ROUNDS):
        for name, kind in kinds.items():
            rates[name].append(asyncio.run(one(kind)))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{tasks} tasks of 5 tokens each, {ROUNDS} rounds, medians:")
    for name, rate in medians.items():
        print(f"  {name:<12} {rate:8,.0f} tasks/s   {rate / medians['core alone']:.2f} × the core alone")


if __name__ == "__main__":
    main()
