"""Metrics, against numbers worked out by hand and against slow definitions."""

from __future__ import annotations

import math
from array import array
from statistics import fmean, quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.replay.metrics import (
    Distribution,
    inversions,
    measure,
    quantile,
    queue_length,
    waiting_cdf,
)
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import Run, TaskColumns
from engine.scheduling import parse_policy
from tests.engine.replay.helpers import compare_order

NAN = math.nan


def _tasks(rows: list[tuple[float, int, float]]) -> TaskColumns:
    return TaskColumns(
        array("d", [r[0] for r in rows]), array("b", [r[1] for r in rows]), array("d", [r[2] for r in rows])
    )


@pytest.fixture
def five() -> TaskColumns:
    """One slot, FIFO: starts 0 4 6 7 20, ends 4 6 7 11 22."""
    tasks = _tasks([(0.0, 5, 4.0), (1.0, 9, 2.0), (1.0, 0, 1.0), (2.0, 5, 4.0), (20.0, 5, 2.0)])
    tasks.clients, tasks.client = ["", "ada", "bob"], array("L", [1, 2, 1, 2, 1])
    tasks.prefill = array("d", [0.5] * 5)
    return tasks


def test_by_hand(five: TaskColumns) -> None:
    found = measure(simulate(five, parse_policy("fifo")))
    assert (found.policy, found.kind, found.slots, found.n, found.done, found.failed) == ("fifo", "virtual", 1, 5, 5, 0)
    assert (found.makespan, found.throughput, found.utilisation) == (22.0, 5 / 22, 13 / 22)
    assert found.overall.waiting == Distribution(5, 2.6, 3.0, 5.0, 5.0, 5.0)
    assert found.overall.turnaround is not None
    assert found.overall.turnaround.mean == pytest.approx(fmean([4, 5, 6, 9, 2]))
    assert found.overall.slowdown is not None
    assert found.overall.slowdown.max == 6.0
    assert found.overall.ttft == Distribution(5, 0.5, 0.5, 0.5, 0.5, 0.5)
    assert (found.oldest_wait, found.inversions, found.swaps) == (5.0, 1, 0)
    assert list(found.by_priority) == [0, 5, 9]
    assert found.by_priority[5].n == 3
    assert found.by_priority[5].waiting is not None
    assert found.by_priority[5].waiting.mean == pytest.approx(5 / 3)
    assert {name: group.n for name, group in found.by_client.items()} == {"ada": 3, "bob": 2}
    ada, bob = fmean([1.0, 6.0, 1.0]), fmean([2.5, 2.25])
    assert found.jain is not None
    assert found.jain.over == "the clients' mean slowdowns"
    assert found.jain.value == pytest.approx((ada + bob) ** 2 / (2 * (ada**2 + bob**2)))


def test_priorities_have_no_inversions_where_fifo_has(five: TaskColumns) -> None:
    assert inversions(simulate(five, parse_policy("npps"))) == 0
    assert inversions(simulate(five, parse_policy("fifo"))) == 1


def test_a_run_that_was_broken_off_counts_what_there_is(five: TaskColumns) -> None:
    run = Run(
        policy="fifo",
        kind="live",
        slots=1,
        tasks=five,
        start=array("d", [0.0, 4.0, NAN, NAN, NAN]),
        end=array("d", [4.0, 6.5, NAN, NAN, NAN]),
        service=array("d", [4.0, 2.5, NAN, NAN, NAN]),
        order=array("L", [0, 1]),
        failed=frozenset({1}),
    )
    found = measure(run)
    assert (found.n, found.done, found.failed, found.makespan) == (5, 1, 1, 6.5)
    assert found.utilisation == 1.0
    assert found.overall.waiting is not None
    assert found.overall.waiting.n == 2
    assert found.overall.ttft is None
    assert found.oldest_wait == 5.5, "the third task had waited since 1.0 at the last end"
    assert found.inversions == 1, "the second task went although the third, more urgent, was there"
    assert found.by_priority[0].waiting is None
    assert queue_length(run, points=2) == [(0.0, 0), (6.5, 2)]


def test_nothing_to_measure() -> None:
    found = measure(simulate(_tasks([]), parse_policy("fifo")))
    assert (found.n, found.makespan, found.throughput, found.utilisation, found.jain) == (0, 0.0, 0.0, 0.0, None)
    assert (found.overall.n, found.overall.waiting, found.by_priority) == (0, None, {})
    assert queue_length(simulate(_tasks([]), parse_policy("fifo"))) == []
    assert waiting_cdf(simulate(_tasks([]), parse_policy("fifo"))) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_quantiles_are_the_usual_ones(values: list[float]) -> None:
    expected = quantiles(values, n=100, method="inclusive")
    ranked = sorted(values)
    for percent in (50, 95, 99):
        assert quantile(ranked, percent / 100) == pytest.approx(expected[percent - 1], abs=1e-6)


rows = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=25)


@given(rows, st.sampled_from(["fifo", "npps", "npps:ageing=2"]), st.integers(1, 3))
@settings(deadline=None)
def test_inversions_and_queue_length_by_their_definitions(
    rows: list[tuple[int, int, int]], policy: str, slots: int
) -> None:
    tasks = _tasks(
        [(float(at), priority, float(service)) for at, priority, service in sorted(rows, key=lambda r: r[0])]
    )
    run = simulate(tasks, parse_policy(policy), Capacity(slots))
    place = {index: order for order, index in enumerate(run.order)}
    passed_over = sum(
        any(
            tasks.priority[other] < tasks.priority[index]
            and tasks.at[other] <= run.start[index]
            and place[other] > place[index]
            for other in place
        )
        for index in place
    )
    assert inversions(run) == passed_over
    if policy == "npps":
        assert passed_over == 0
    for moment, waiting in queue_length(run, points=9):
        assert waiting == sum(at <= moment < start for at, start in zip(tasks.at, run.start, strict=True))
    cdf = waiting_cdf(run)
    waits = [start - at for start, at in zip(run.start, tasks.at, strict=True)]
    assert (cdf[-1][0], cdf[-1][1]) == (max(waits), 1.0)
    for wait, share in cdf:
        assert sum(value <= wait for value in waits) >= share * len(waits) - 1e-9


def test_the_first_difference_between_two_orders(five: TaskColumns) -> None:
    fifo, npps = (simulate(five, parse_policy(policy)) for policy in ("fifo", "npps"))
    assert compare_order(fifo, fifo) is None
    assert compare_order(fifo, npps) == 1
