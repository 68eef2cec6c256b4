"""The simulator on every path, exactly: Lindley, the conservation law, and a brute-force simulator."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.replay.simulate import Capacity, VirtualCore, simulate
from engine.replay.tables import TaskColumns
from engine.scheduling import parse_policy
from engine.scheduling.policies.npps import Npps
from engine.scheduling.policy import Policy
from tests.engine.replay.brute_force import Job, brute_force
from tests.engine.replay.helpers import poisson
from tests.profiles import examples

moments = st.floats(0, 1e6, allow_nan=False, width=64)
float_tasks = st.lists(st.tuples(moments, st.integers(0, 9), st.floats(0, 1e4)), max_size=60)
whole_tasks = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 9), st.lists(st.integers(1, 6), min_size=1, max_size=3)), max_size=14
)
ageings = st.sampled_from([None, math.inf, 0.5, 1.0, 2.0, 3.0, 7.0])


def _tasks(rows: list[tuple[float, int, float]]) -> TaskColumns:
    rows = sorted(rows, key=lambda row: row[0])
    return TaskColumns(
        array("d", [r[0] for r in rows]), array("b", [r[1] for r in rows]), array("d", [r[2] for r in rows])
    )


def _policy(ageing: float | None) -> Policy:
    return parse_policy("fifo") if ageing is None else Npps(ageing)


@given(float_tasks)
def test_fifo_is_lindleys_recursion_exactly(rows: list[tuple[float, int, float]]) -> None:
    tasks = _tasks(rows)
    run = simulate(tasks, parse_policy("fifo"))
    end = -math.inf
    for index in range(len(tasks)):
        assert run.start[index] == max(tasks.at[index], end)
        end = run.start[index] + tasks.service[index]
        assert run.end[index] == end
    assert list(run.order) == list(range(len(tasks)))


def test_fifo_is_lindleys_recursion_exactly_on_a_long_path() -> None:
    tasks = poisson(100_000, 0.9, lambda rng: rng.expovariate(1), seed=3)
    run = simulate(tasks, parse_policy("fifo"))
    end = -math.inf
    for at, served, start, ended in zip(tasks.at, tasks.service, run.start, run.end, strict=True):
        assert start == max(at, end)
        end = start + served
        assert ended == end


@given(whole_tasks, st.lists(ageings, min_size=1, max_size=3), st.integers(1, 3), st.data())
@settings(max_examples=examples(250), deadline=None)
def test_the_same_as_brute_force(
    rows: list[tuple[int, int, list[int]]], policies: list[float | None], slots: int, data: st.DataObject
) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    # Even rounds: the simulator splits a task's service evenly over its rounds.
    jobs = [Job(at, priority, [rounds[0]] * len(rounds)) for at, priority, rounds in rows]
    tasks = TaskColumns(
        array("d", [job.at for job in jobs]),
        array("b", [job.priority for job in jobs]),
        array("d", [sum(job.rounds) for job in jobs]),
        rounds=array("H", [len(job.rounds) for job in jobs]),
    )
    times = [
        0,
        *sorted(data.draw(st.lists(st.integers(1, 40), min_size=len(policies) - 1, max_size=len(policies) - 1))),
    ]
    switches = list(zip(times, policies, strict=True))
    order = brute_force(jobs, slots, switches)
    run = simulate(tasks, _policy(policies[0]), Capacity(slots), [(at, _policy(p)) for at, p in switches[1:]])
    assert list(run.order) == order
    assert list(run.start) == [job.start for job in jobs]
    assert list(run.end) == [job.end for job in jobs]


@given(float_tasks, ageings, st.integers(1, 4), st.lists(st.tuples(moments, ageings), max_size=3))
def test_both_loops_are_one_simulator(
    rows: list[tuple[float, int, float]], ageing: float | None, slots: int, changes: list[tuple[float, float | None]]
) -> None:
    """Without rounds and models the quick loop is taken; a capacity that loads models makes it the thorough one."""
    tasks = _tasks(rows)
    switches = [(at, _policy(policy)) for at, policy in changes]
    quick = simulate(tasks, _policy(ageing), Capacity(slots), switches)
    tasks.model, tasks.models = array("L", [1] * len(tasks)), ["", "m"]
    thorough = simulate(tasks, _policy(ageing), Capacity(slots, load_s={"other": 1.0}), switches)
    assert (quick.start, quick.end, quick.order) == (thorough.start, thorough.end, thorough.order)
    assert thorough.swaps == 0


@given(whole_tasks, ageings)
def test_the_conservation_law_holds_on_every_path(rows: list[tuple[int, int, list[int]]], ageing: float | None) -> None:
    """Σ service·waiting is the same for every policy that never idles nor preempts: work is only passed round."""
    tasks = _tasks([(float(at), priority, float(rounds[0])) for at, priority, rounds in rows])
    worked = [
        sum(
            Fraction(s) * (Fraction(b) - Fraction(a))
            for s, a, b in zip(tasks.service, tasks.at, run.start, strict=True)
        )
        for run in (simulate(tasks, _policy(ageing)), simulate(tasks, parse_policy("fifo")))
    ]
    assert worked[0] == worked[1]


@given(float_tasks, ageings, st.integers(1, 4))
def test_a_task_starts_when_it_arrives_or_when_another_ends_and_slots_are_enough(
    rows: list[tuple[float, int, float]], ageing: float | None, slots: int
) -> None:
    tasks = _tasks(rows)
    run = simulate(tasks, _policy(ageing), Capacity(slots))
    assert sorted(run.order) == list(range(len(tasks)))
    ends = set(run.end)
    for place, index in enumerate(run.order):
        now = run.start[index]
        assert now == tasks.at[index] or (now > tasks.at[index] and now in ends)
        assert now >= max((run.start[earlier] for earlier in run.order[:place]), default=0.0)
        assert sum(run.start[earlier] <= now < run.end[earlier] for earlier in run.order[: place + 1]) <= slots


def test_ageing_0_is_fifo_and_no_ageing_is_strict() -> None:
    tasks = poisson(20_000, 0.9, lambda rng: rng.expovariate(1), seed=5)
    assert simulate(tasks, parse_policy("npps:ageing=0")).order == simulate(tasks, parse_policy("fifo")).order
    strict = simulate(tasks, parse_policy("npps"))
    assert strict.order == simulate(tasks, parse_policy("npps:ageing=1e9")).order
    assert strict.order != simulate(tasks, parse_policy("npps:ageing=5")).order


def test_one_run_is_as_the_other_to_the_last_digit() -> None:
    tasks = poisson(20_000, 3.6, lambda rng: rng.lognormvariate(-0.5, 1), seed=6)
    first, second = (simulate(tasks, parse_policy("npps:ageing=3"), Capacity(4)) for _ in range(2))
    assert first == second


def test_tasks_that_arrive_together_are_ordered_before_the_first_starts() -> None:
    tasks = _tasks([(0.0, 9, 1.0), (0.0, 0, 1.0), (0.0, 5, 1.0)])
    assert list(simulate(tasks, parse_policy("npps")).order) == [1, 2, 0]
    assert list(simulate(tasks, parse_policy("fifo")).order) == [0, 1, 2]


def test_models_are_loaded_once_a_slot_and_swaps_are_counted() -> None:
    tasks = _tasks([(0.0, 5, 1.0), (0.0, 5, 1.0), (0.0, 5, 1.0), (0.0, 5, 1.0)])
    tasks.models, tasks.model = ["", "big", "small"], array("L", [1, 2, 1, 0])
    tasks.prefill = array("d", [0.25] * 4)
    capacity = Capacity(1, load_s={"big": 10.0}, default_load_s=2.0)
    run = simulate(tasks, parse_policy("fifo"), capacity)
    assert list(run.start) == [0.0, 11.0, 14.0, 25.0]
    assert list(run.end) == [11.0, 14.0, 25.0, 26.0]
    assert list(run.ttft) == [10.25, 2.25, 10.25, 0.25]
    assert (run.swaps, run.load_s) == (2, 22.0)
    one_slot = VirtualCore(1, {"big": 10.0}, 2.0, memory=1)
    two = simulate(tasks, parse_policy("fifo"), Capacity(cores=[one_slot, one_slot]))
    assert list(two.start) == [0.0, 0.0, 3.0, 11.0], "a slot that has just become free is taken by the next in order"
    assert (two.swaps, two.load_s) == (1, 22.0)
    one_core = simulate(tasks, parse_policy("fifo"), Capacity(2, load_s={"big": 10.0}, default_load_s=2.0))
    assert list(one_core.start) == [0.0, 11.0, 14.0, 14.0], "a core of two slots holds one model at a time"
    assert (one_core.swaps, one_core.load_s) == (2, 22.0), "a task without a model waits for no load"


def test_a_task_prefers_the_core_that_holds_its_model() -> None:
    tasks = _tasks([(0.0, 5, 1.0), (0.0, 5, 1.0), (50.0, 5, 1.0), (50.0, 5, 1.0)])
    tasks.models, tasks.model = ["", "a", "b"], array("L", [1, 2, 2, 1])
    one_slot = VirtualCore(1, default_load_s=5.0, memory=1)
    run = simulate(tasks, parse_policy("fifo"), Capacity(cores=[one_slot, one_slot]))
    assert list(run.end) == [6.0, 6.0, 51.0, 51.0]
    assert run.swaps == 0
    together = simulate(tasks, parse_policy("fifo"), Capacity(2, default_load_s=5.0))
    assert list(together.end) == [6.0, 12.0, 51.0, 57.0]
    assert together.swaps == 2


def test_a_switch_re_orders_what_waits_and_touches_nothing_that_runs() -> None:
    tasks = _tasks([(0.0, 9, 10.0), (1.0, 9, 1.0), (2.0, 0, 1.0), (12.5, 5, 1.0)])
    run = simulate(tasks, parse_policy("fifo"), switches=[(5.0, parse_policy("npps"))])
    assert list(run.order) == [0, 2, 1, 3]
    assert run.start[2] == 10.0
    assert run.switches == ((5.0, "npps"),)


@pytest.mark.parametrize(
    ("tasks", "reported"),
    [
        (TaskColumns(array("d", [1.0, 0.0]), array("b", [0, 0]), array("d", [1.0, 1.0])), "not in order"),
        (TaskColumns(array("d", [0.0]), array("b", [0]), array("d", [-1.0])), "0 or more"),
        (TaskColumns(array("d", [0.0]), array("b", [0]), array("d", [math.nan])), "finite"),
        (TaskColumns(array("d", [0.0]), array("b"), array("d", [1.0])), "column priority"),
    ],
)
def test_columns_that_can_not_be_are_refused(tasks: TaskColumns, reported: str) -> None:
    with pytest.raises(ValueError, match=reported):
        simulate(tasks, parse_policy("fifo"))
