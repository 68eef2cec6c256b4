"""Runs for tests of the comparison: one small workload in virtual time under several policies."""

from __future__ import annotations

from engine.replay.inputs import build_input
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import Run
from engine.scheduling import parse_policy
from engine.workloads.generate import TaskClass, generate
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.scene import NOW

POLICIES = ("fifo", "npps", "npps:ageing=60")


def made(policy: str, *, count: int = 300, seed: int = 7) -> Run:
    """A run of three classes of tasks at a load of nine tenths."""
    classes = (TaskClass(0.2, 1, client="ada"), TaskClass(0.3, 5, client="bob"), TaskClass(0.5, 8, client="[/foo]"))
    header, rows = generate(count, 0.26, seed=seed, burstiness=1.5, classes=classes)
    run = simulate(build_input(rows, header.defaults).tasks, parse_policy(policy), Capacity())
    run.note = "1 slot, prefill 1,000 and decode 50 tok/s"
    return run


async def kept(*policies: str, workload: str = "evening.jsonl", runs: MemoryRuns | None = None) -> MemoryRuns:
    """Runs of `workload`, kept so that the first is the newest."""
    runs = runs or MemoryRuns()
    for policy in reversed(policies or POLICIES):
        await runs.keep(workload, made(policy), at=NOW)
    return runs
