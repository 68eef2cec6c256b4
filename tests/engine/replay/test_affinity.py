"""Model affinity in replays: live and virtual choose alike, and what is counted is what happened."""

from __future__ import annotations

import math
import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.agents.catalogue import load_catalogue
from engine.cores.scripted import ScriptedCore
from engine.kernel import Kernel
from engine.replay.inputs import build_input
from engine.replay.live import LiveReplay
from engine.replay.metrics import measure
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import OperatorAction, TaskColumns
from engine.scheduling import parse_policy
from engine.store import MemoryStore
from engine.workloads.format import TaskRow, WorkloadHeader
from engine.workloads.reader import Workload
from tests.engine.replay.helpers import compare_order
from tests.engine.scheduling.helpers import bounds
from tests.profiles import examples

POLICIES = ["fifo", "npps", "fifo:affinity=2", "npps:affinity=3", "npps:ageing=60,affinity=4", "npps:affinity_s=1000"]


def two_models(seed: int, count: int = 40) -> Workload:
    rng = random.Random(seed)
    agents = ("chat", "chat", "story_teller", "translate")
    rows = [
        TaskRow(id=f"t{n}", agent=rng.choice(agents), prompt=f"task {n}", priority=rng.choice((1, 5, 8)), model=model)
        for n, model in enumerate(rng.choices("ab", k=count))
    ]
    return Workload(WorkloadHeader(), tuple(rows), "two.jsonl")


@pytest.mark.parametrize("policy", POLICIES)
async def test_live_and_virtual_dispatch_in_the_same_order(policy: str) -> None:
    """A core that really loads, and the simulator's slot: the same tasks pass the same heads."""
    workload, catalogue = two_models(7), load_catalogue(None)[0]
    core = ScriptedCore.parse("models=a|b,load=0.001,ttft=0,tps=0,tokens=3")
    kernel = Kernel(cores=[core], store=MemoryStore(), agents=catalogue, policy=parse_policy(policy))
    await kernel.start()
    live = await LiveReplay(kernel, workload).run()
    await kernel.stop()
    made = build_input(workload.items, rounds_of=lambda name: catalogue.get(name).round_total)
    virtual = simulate(made.tasks, parse_policy(policy), Capacity(default_load_s=8.0))
    assert compare_order(live, virtual) is None
    assert len(live.order) == len(workload.tasks)
    assert live.swaps == virtual.swaps > 1
    assert virtual.load_s == 8.0 * (virtual.swaps + 1), "the first load is no swap"
    assert live.load_s == pytest.approx(0.001 * (live.swaps + 1), rel=0.05)


def test_every_load_is_in_the_times() -> None:
    """Four tasks at once on a slot: the load of a model is between one task's end and the next one's own end."""
    tasks = TaskColumns(
        array("d", [0.0] * 4), array("b", [5] * 4), array("d", [2.0] * 4), model=array("L", [1, 2, 1, 2])
    )
    tasks.models = ["", "a", "b"]
    capacity = Capacity(default_load_s=8.0)
    plain, kind = (simulate(tasks, parse_policy(policy), capacity) for policy in ("fifo", "fifo:affinity=1"))
    assert list(plain.end) == [10.0, 20.0, 30.0, 40.0]
    assert (plain.swaps, plain.load_s) == (3, 32.0)
    assert list(kind.order) == [0, 2, 1, 3]
    assert list(kind.end) == [10.0, 22.0, 12.0, 24.0]
    assert (kind.swaps, kind.load_s) == (1, 16.0)


rows = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from((1, 5, 8)), st.integers(0, 5), st.integers(1, 3)),
    min_size=1,
    max_size=40,
)


@given(rows, st.sampled_from(POLICIES[2:]), st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=examples(150), deadline=None)
def test_no_run_loses_starves_or_demotes_anyone(
    work: list[tuple[int, int, int, int]], policy: str, slots: int, load: int
) -> None:
    """Judged from the record alone: all tasks end, a slot runs one at a time, and none started before one that was
    ready, more urgent, and strictly under the policy not allowed to be passed by it."""
    work = sorted(work, key=lambda row: row[0])
    n = len(work)
    tasks = TaskColumns(
        array("d", [row[0] for row in work]),
        array("b", [row[1] for row in work]),
        array("d", [row[2] for row in work]),
        model=array("L", [row[3] for row in work]),
        models=["", "a", "b", "c"],
    )
    run = simulate(tasks, parse_policy(policy), Capacity(slots, default_load_s=float(load)))
    assert sorted(run.order) == list(range(n))
    assert not any(math.isnan(end) for end in run.end)
    busy = math.fsum(end - start for start, end in zip(run.start, run.end, strict=True))
    assert busy == pytest.approx(math.fsum(tasks.service) + run.load_s)
    if policy.startswith("npps:affinity"):
        assert measure(run).inversions == 0
    if policy == "fifo:affinity=2" and load:
        for index in range(n):  # as the head it is passed twice at most, and those ahead of it have the same bound
            overtook = sum(run.start[later] < run.start[index] for later in range(index + 1, n))
            assert overtook <= bounds(policy)[0] * (index + 1)


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_holds_while_an_operator_is_at_work(seed: int) -> None:
    """Priorities change, tasks are cancelled, policies switch: everything else still ends, once."""
    rng = random.Random(seed)
    made = build_input(two_models(seed, 60).items)
    made.tasks.at = array("d", sorted(rng.uniform(0, 200) for _ in range(60)))
    made.tasks.service = array("d", [rng.uniform(0, 8) for _ in range(60)])
    actions = sorted(
        (
            OperatorAction(
                rng.uniform(0, 250), rng.choice(("priority", "cancel")), rng.randrange(60), rng.randrange(10)
            )
            for _ in range(20)
        ),
        key=lambda act: act.at,
    )
    switches = [(at, parse_policy(rng.choice(POLICIES))) for at in (50.0, 100.0, 150.0)]
    run = simulate(made.tasks, parse_policy("npps:affinity=2"), Capacity(2, default_load_s=5.0), switches, actions)
    cancelled = {act.task for act in actions if act.op == "cancel"}
    assert set(range(60)) - set(run.order) <= run.failed <= cancelled
    assert len(set(run.order)) == len(run.order)
    assert not any(math.isnan(end) for end in run.end)


def test_affinity_changes_nothing_where_nothing_is_loaded() -> None:
    made = build_input(two_models(3).items)
    plain, kind = (simulate(made.tasks, parse_policy(policy)) for policy in ("npps", "npps:affinity=8"))
    assert (plain.start, plain.end, plain.order) == (kind.start, kind.end, kind.order)
    assert kind.swaps == 0
