"""The gain of model affinity on a core that holds one model: swaps, makespan and waiting by policy, in virtual time.

Run: python -m benchmarks.affinity [TASKS]
A synthetic workload: two models at random, three priorities by shares .2 .5 .3, exponential service of mean 4 s,
Poisson arrivals, 8 s to load a model, one slot. Each number is the median over the seeds. Only the last column is
measured time; the others are the same on every machine.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass

from engine.replay.inputs import build_input
from engine.replay.metrics import Metrics, measure
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import TaskColumns
from engine.scheduling import parse_policy
from engine.workloads.generate import Draw, TaskClass, generate

POLICIES = (
    "fifo",
    "fifo:affinity=8",
    "npps",
    "npps:affinity=2",
    "npps:affinity=8",
    "npps:affinity=32",
    "npps:affinity_s=60",
    "npps:ageing=60",
    "npps:ageing=60,affinity=8",
)
RATES = (0.08, 0.15)
SEEDS = range(1, 6)
LOAD_S = 8.0
SHARES = {1: 0.2, 5: 0.5, 8: 0.3}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy on one workload; `seconds` of processor time for the simulation."""

    metrics: Metrics
    seconds: float


def workload(count: int, rate: float, seed: int) -> TaskColumns:
    classes = [
        TaskClass(share=share / 2, priority=priority, model=model, service=Draw("exp:4"))
        for priority, share in SHARES.items()
        for model in ("qwen3:8b", "gemma3:4b")
    ]
    return build_input(generate(count, rate, seed=seed, classes=classes)[1]).tasks


def played(tasks: TaskColumns, policy: str) -> Outcome:
    begun = time.process_time()
    run = simulate(tasks, parse_policy(policy), Capacity(default_load_s=LOAD_S))
    return Outcome(measure(run), time.process_time() - begun)


def table(count: int, rate: float) -> None:
    workloads = [workload(count, rate, seed) for seed in SEEDS]
    print(f"\n{count:,} tasks, {rate:g}/s, load {LOAD_S:g} s, one slot; medians of {len(SEEDS)} seeds, seconds")
    heads = ("swaps", "makespan", "wait mean", "p95", "max", *(f"pri {p}" for p in SHARES), "inversions", "µs/task")
    print(f"{'policy':<27}" + "".join(f"{head:>11}" for head in heads))
    for policy in POLICIES:
        outcomes = [played(tasks, policy) for tasks in workloads]
        cells = [[*_numbers(one.metrics), one.seconds / count * 1e6] for one in outcomes]
        medians = [statistics.median(column) for column in zip(*cells, strict=True)]
        print(f"{policy:<27}" + "".join(f"{value:>11,.{0 if value >= 100 else 1}f}" for value in medians))


def _numbers(metrics: Metrics) -> list[float]:
    waiting = metrics.overall.waiting
    by_priority = [metrics.by_priority[priority].waiting for priority in SHARES]
    if waiting is None or any(each is None for each in by_priority):
        sys.exit("a task was never dispatched: the simulator is wrong")
    means = [each.mean for each in by_priority if each is not None]
    return [metrics.swaps, metrics.makespan, waiting.mean, waiting.p95, waiting.max, *means, metrics.inversions]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for rate in RATES:
        table(count, rate)


if __name__ == "__main__":
    main()
