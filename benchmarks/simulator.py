"""The virtual-time simulator beside simpy's PriorityResource, on the same M/M/c work in the same process.

    python -m benchmarks.simulator [--tasks N] [--slots C] [--repeats R] [--scale]

Both keep the same record of every task (start, end, order of dispatch), and their starts are compared, to verify that
they did the same work. Processor time of the process; the better of the repeats, taken in turns. `--scale` runs
the simulator alone up to 1,000,000 tasks, each size in a process of its own, with its peak memory, metrics included.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Generator
from typing import Any

from engine.replay.metrics import measure
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import TaskColumns
from engine.scheduling import parse_policy

Record = tuple["array[float]", "array[float]", "array[int]"]


def mmc(n: int, slots: int, rho: float = 0.8, seed: int = 1) -> TaskColumns:
    """Poisson arrivals, exponential service of mean 1, three priorities by shares .2 .3 .5."""
    rng = random.Random(seed)
    at, priority, service = array("d"), array("b"), array("d")
    clock = 0.0
    for klass in rng.choices((0, 4, 9), (0.2, 0.3, 0.5), k=n):
        clock += rng.expovariate(rho * slots)
        at.append(clock)
        priority.append(klass)
        service.append(rng.expovariate(1))
    return TaskColumns(at, priority, service)


def by_simpy(tasks: TaskColumns, slots: int) -> Record:
    """Run the same work as simpy users write it, with a process for each task."""
    simpy = importlib.import_module("simpy")
    n = len(tasks)
    start, end, order = array("d", bytes(8 * n)), array("d", bytes(8 * n)), array("L")
    environment = simpy.Environment()
    resource = simpy.PriorityResource(environment, slots)

    def task(index: int) -> Generator[Any, Any, None]:
        with resource.request(priority=tasks.priority[index]) as request:
            yield request
            start[index] = environment.now
            order.append(index)
            yield environment.timeout(tasks.service[index])
            end[index] = environment.now

    def arrivals() -> Generator[Any, Any, None]:
        for index, at in enumerate(tasks.at):
            yield environment.timeout(at - environment.now)
            environment.process(task(index))

    environment.process(arrivals())
    environment.run()
    return start, end, order


def by_us(tasks: TaskColumns, slots: int) -> Record:
    run = simulate(tasks, parse_policy("npps"), Capacity(slots))
    return run.start, run.end, run.order


def _timed(work: Callable[[TaskColumns, int], Record], tasks: TaskColumns, slots: int) -> tuple[float, Record]:
    begun = time.process_time()
    record = work(tasks, slots)
    return time.process_time() - begun, record


def beside(n: int, slots: int, repeats: int) -> None:
    tasks = mmc(n, slots)
    ours, theirs = [], []
    for _ in range(repeats):
        seconds, mine = _timed(by_us, tasks, slots)
        ours.append(seconds)
        seconds, other = _timed(by_simpy, tasks, slots)
        theirs.append(seconds)
        # simpy adds delays to its clock where we add to arrival times, so the last digits may differ.
        worst = max(abs(a - b) for a, b in zip(mine[0], other[0], strict=True))
        if worst > 1e-6:
            sys.exit(f"the two disagree by {worst:g} s: one of them is wrong")
    best, peer = min(ours), min(theirs)
    print(
        f"M/M/{slots}, {n:,} tasks: {n / best:>10,.0f} tasks/s, simpy {n / peer:>8,.0f} tasks/s, "
        f"{peer / best:.1f} times as fast (of {repeats})"
    )


def alone(n: int, slots: int) -> None:
    """Run one size and print the time and the peak memory of the process."""
    import resource

    tasks = mmc(n, slots)
    seconds, _ = _timed(by_us, tasks, slots)
    begun = time.process_time()
    measure(simulate(tasks, parse_policy("npps"), Capacity(slots)))
    measured = time.process_time() - begun - seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024) / 1024
    print(
        f"M/M/{slots}, {n:>9,} tasks: {seconds:6.2f} s, {seconds / n * 1e6:.2f} µs a task; "
        f"metrics {measured:5.2f} s; peak {peak:.2f} GB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--slots", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        alone(options.tasks, options.slots[0])
        return
    if importlib.util.find_spec("simpy") is None:
        print("simpy is not installed, so there is nothing to compare with; the simulator alone:")
        options.scale, options.slots = True, []
    for slots in options.slots:
        beside(options.tasks, slots, options.repeats)
    if options.scale:
        for n in (100_000, 200_000, 500_000, 1_000_000):
            command = [sys.executable, "-m", "benchmarks.simulator", "--alone", "--tasks", str(n), "--slots", "4"]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
