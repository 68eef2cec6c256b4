"""Runs as bytes: read again as they were, and refused when damaged."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.replay.codec import pack, unpack
from engine.replay.metrics import measure
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import Run, TaskColumns
from engine.scheduling import parse_policy


def some_run() -> Run:
    tasks = TaskColumns(
        at=array("d", [0.0, 0.5, 0.5, 2.0]),
        priority=array("b", [5, 1, 9, 0]),
        service=array("d", [1.0, 0.25, 3.0, 0.125]),
        prefill=array("d", [0.5, math.nan, 1.0, 0.1]),
        client=array("L", [1, 0, 2, 1]),
        clients=["", "ada", "bob"],
        ids=["a", "t2", "ü", "d"],
    )
    run = simulate(tasks, parse_policy("npps"), Capacity(1), [(1.0, parse_policy("fifo"))])
    run.note = "made here"
    return run


def test_a_run_is_read_again_as_it_was() -> None:
    run = some_run()
    again = unpack(pack(run))
    assert measure(again) == measure(run)
    assert list(again.tasks.ids) == ["a", "t2", "ü", "d"]
    assert (again.order, again.switches, again.note) == (run.order, run.switches, run.note)
    assert [again.tasks.client_name(place) for place in range(4)] == ["ada", "", "bob", "ada"]


def test_usual_ids_cost_nothing() -> None:
    run = some_run()
    run.tasks.ids = ["t1", "t2", "t3", "t4"]
    again = unpack(pack(run))
    assert again.tasks.ids == []
    assert again.tasks.id(3) == "t4"


def test_an_empty_run_and_one_broken_off() -> None:
    empty = simulate(TaskColumns(array("d"), array("b"), array("d")), parse_policy("fifo"))
    assert len(unpack(pack(empty)).tasks) == 0
    run = some_run()
    run.start[3] = run.end[3] = math.nan
    del run.order[-1]
    run.failed = frozenset({2})
    again = unpack(pack(run))
    assert math.isnan(again.start[3])
    assert again.failed == {2}
    assert measure(again) == measure(run)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_whatever_the_bytes_are_it_is_a_run_or_a_line(junk: bytes, place: int) -> None:
    whole = pack(some_run())
    for data in (junk, whole[:place] + junk, whole[:place] + junk + whole[place + len(junk) :], whole[:11] + junk):
        if data == whole:
            continue
        try:
            measure(unpack(data))
        except UsageError as error:
            assert "\n" not in str(error)


def test_what_points_outside_its_columns_is_refused() -> None:
    run = some_run()
    run.order[0] = 77
    with pytest.raises(UsageError, match="point outside"):
        unpack(pack(run))
    run = some_run()
    run.tasks.client[0] = 9
    with pytest.raises(UsageError, match="point outside"):
        unpack(pack(run))
