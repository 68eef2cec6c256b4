"""The metrics of a span of history are what their definitions say: against a slow recomputation, and by hand."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_tui.reporting.history_metrics import NAMES, Measures, measure
from engine.errors import StoreError
from persistence import History, SqliteStore
from persistence.activity import activity
from persistence.cancellable_reader import CancellableReader
from persistence.program_runs import program_runs
from persistence.read_connection import ReadConnection
from tests.persistence.generated_activity import STATES, Made, MadeAttempt, MadeTask, Slow, blank, write
from tests.persistence.helpers import accepted, attempt, attempt_ended, ended, started
from tests.profiles import examples
from tests.waiting import PATIENCE_S

SINCE, UNTIL = 1_000.0, 1_300.0


def measured(raw: sqlite3.Connection, made: Made, buckets: int = 6, *, alive: bool = True) -> Measures:
    write(raw, made)
    return measure(activity(raw, SINCE, UNTIL, buckets, alive=alive))


@pytest.fixture
def raw() -> Iterator[sqlite3.Connection]:
    raw = blank()
    yield raw
    raw.close()


# Moments on a grid of eighths, exact in binary, so that what falls on a bucket's edge falls there for both ways.
moment = st.integers(8 * 700, 8 * 1500).map(lambda eighths: eighths / 8)
length = st.integers(0, 8 * 120).map(lambda eighths: eighths / 8)


@st.composite
def made_tasks(draw: st.DrawFn) -> MadeTask:
    submitted = draw(moment)
    priority = draw(st.sampled_from([0, 5, 9]))
    at, attempts = submitted, []
    begins = draw(st.integers(0, 2))
    for start in range(1, begins + 1):
        for number in range(draw(st.integers(1, 2))):
            ready = submitted if number == 0 else at + draw(length)
            begin = max(at, ready) + draw(length)
            end = begin + draw(length)
            state = draw(st.sampled_from(["done", "failed", "interrupted"]))
            ttft = draw(st.none() | length.map(lambda value, most=end - begin: min(value, most)))  # type: ignore[misc]
            slot = draw(st.sampled_from(["gpu/0", "gpu/1"]))
            attempts.append(MadeAttempt(ready, begin, end, slot, draw(st.integers(0, 50)), ttft, state, start))
            at = end
    fate = draw(st.sampled_from(["queued", "ended in the queue", "ended", "executes"]))
    if fate == "executes" and at < UNTIL:
        begin = at + draw(length)
        attempts.append(MadeAttempt(at, begin, None, "gpu/0", start=begins + 1))
        return MadeTask(submitted, priority, tuple(attempts), started=begin)
    if fate == "ended" and attempts:
        state = draw(st.sampled_from(STATES))
        return MadeTask(submitted, priority, tuple(attempts), at, state, attempts[0].begin)
    ends_at = at + draw(length) if fate.startswith("ended") else None
    return MadeTask(submitted, priority, tuple(attempts), ends_at, "cancelled")


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(made_tasks(), max_size=8), st.sampled_from([1, 4, 6]), st.booleans())
def test_it_is_what_a_slow_recomputation_says(tasks: list[MadeTask], buckets: int, pause: bool) -> None:
    raw = blank()
    runs = ((600.0, 1_080.0), (1_130.0, None)) if pause else ((600.0, None),)
    made = Made(tasks, runs)
    try:
        found = measured(raw, made, buckets)
    finally:
        raw.close()
    slow = Slow(made, SINCE, UNTIL, program_runs=[(begin, UNTIL if end is None else end) for begin, end in runs])
    width = (UNTIL - SINCE) / buckets
    for priority in (None, *found.by_priority):
        got = found.of(priority)
        for bucket in range(buckets):
            expected = slow.values(SINCE + bucket * width, SINCE + (bucket + 1) * width, priority)
            for name in NAMES:
                assert got.curves[name][bucket] == pytest.approx(expected[name], rel=1e-6, abs=1e-6), (name, bucket)
        whole = slow.values(SINCE, UNTIL, priority)
        assert got.totals == pytest.approx(whole, rel=1e-6, abs=1e-6)
        ends = [task for task in slow.tasks(priority) if task.end is not None and SINCE <= task.end < UNTIL]
        assert (got.ended, got.done) == (len(ends), sum(task.state == "done" for task in ends))


def test_one_task_by_hand(raw: sqlite3.Connection) -> None:
    ran = MadeAttempt(1_000.0, 1_025.0, 1_075.0, tokens=100, ttft=10.0)
    found = measured(raw, Made([MadeTask(1_000.0, 3, (ran,), 1_075.0, started=1_025.0)]))
    curves = found.all.curves
    assert list(curves["queue"]) == [0.5, 0, 0, 0, 0, 0]
    assert list(curves["waiting_p50_s"]) == [25.0, None, None, None, None, None]
    assert curves["throughput_per_min"] == pytest.approx((0, 60 / 50, 0, 0, 0, 0))
    assert curves["tokens_per_s"] == pytest.approx((100 * 15 / 40 / 50, 100 * 25 / 40 / 50, 0, 0, 0, 0))
    assert list(curves["utilisation"]) == [0.5, 0.5, 0, 0, 0, 0]
    assert (found.slots, found.running_s, list(found.by_priority)) == (1, 300.0, [3])
    assert found.of(7) is found.all


def test_where_no_program_ran_there_is_nothing(raw: sqlite3.Connection) -> None:
    waits = MadeTask(900.0, started=None)
    found = measured(raw, Made([waits], ((800.0, 1_050.0), (1_225.0, None))))
    assert found.all.curves["queue"] == (1.0, None, None, None, 1.0, 1.0)
    assert found.all.curves["throughput_per_min"] == (0.0, None, None, None, 0.0, 0.0)
    assert (found.running_s, found.all.totals["queue"]) == (125.0, 1.0)
    assert found.all.totals["utilisation"] is None, "no slot was ever seen"


def test_a_killed_program_ended_with_the_last_thing_it_wrote(raw: sqlite3.Connection) -> None:
    tasks = [
        MadeTask(1_000.0, 5, (MadeAttempt(1_000.0, 1_000.0, 1_040.0),), 1_040.0, started=1_000.0),
        # executing when the program died: the next one found it so, and its end is that one's start
        MadeTask(1_000.0, 5, (MadeAttempt(1_000.0, 1_050.0, 1_200.5, state="interrupted"),)),
    ]
    made = Made(tasks, ((900.0, None), (1_200.0, None)))
    write(raw, made)
    first, second = program_runs(raw, SINCE, UNTIL, alive=True)
    assert (first.begin, first.end, first.slots) == (900.0, 1_040.0, 1)
    assert (second.begin, second.end, second.slots) == (1_200.0, UNTIL, 0)
    found = measured(raw, made)
    assert found.all.curves["utilisation"][0] == 1.0
    assert found.all.curves["queue"][1:4] == (None, None, None)
    assert found.all.curves["queue"][4] == pytest.approx(49.5 / 50), "it waits again since the program is back"


def test_the_newest_program_may_have_been_killed(raw: sqlite3.Connection) -> None:
    running = MadeTask(1_000.0, 5, (MadeAttempt(1_000.0, 1_010.0, None),), started=1_010.0)
    made = Made([running], ((990.0, None),))
    assert measured(raw, made).running_s == 300.0
    assert measured(raw, made).all.busy_s == pytest.approx(290.0)
    dead = measured(raw, made, alive=False)
    assert dead.running_s == pytest.approx(10.0)
    assert dead.all.busy_s == 0.0


def test_slots_are_those_a_program_was_seen_to_have(raw: sqlite3.Connection) -> None:
    early = [MadeAttempt(500.0, 500.0, 510.0, f"gpu/{n}") for n in range(4)]
    tasks = [MadeTask(500.0, 5, (each,), 510.0, started=500.0) for each in early]
    tasks.append(MadeTask(1_000.0, 5, (MadeAttempt(1_000.0, 1_000.0, 1_300.0),), 1_300.0, started=1_000.0))
    found = measured(raw, Made(tasks, ((400.0, None),)))
    assert found.slots == 4
    assert found.all.totals["utilisation"] == pytest.approx(0.25)
    found = measured(raw, Made(tasks, ((400.0, 600.0), (900.0, None))))
    assert found.slots == 1
    assert found.all.totals["utilisation"] == pytest.approx(1.0)


def test_an_empty_history_has_no_numbers_and_no_error(raw: sqlite3.Connection) -> None:
    found = measured(raw, Made([], ()))
    assert all(value is None for curve in found.all.curves.values() for value in curve)
    assert (found.running_s, found.slots, found.by_priority) == (0.0, 0, {})
    idle = measured(raw, Made([]))
    assert idle.all.curves["throughput_per_min"] == (0.0,) * 6


async def test_from_a_real_store(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit([accepted(1), started(1), attempt(1), attempt_ended(1), ended(1), accepted(2, priority=2)])
    async with History(path) as history:
        found = measure(await history.activity(99.0, 109.0, 5))
        assert found.all.ended == 1 and found.all.started == 1
        assert found.all.totals["waiting_p50_s"] == 0.5
        now = measure(await history.activity((await history.runs(1))[0].started_at, 4e9, 1))
        assert now.all.totals["queue"] == pytest.approx(1.0), "task 2 waits"
        assert list(now.by_priority) == [2]
    await store.close()
    with pytest.raises(StoreError):
        await History(tmp_path / "none.db").activity(0, 1)


def test_the_queries_use_the_indexes(raw: sqlite3.Connection) -> None:
    """A full walk over attempts or tasks would take seconds in a history of a million."""
    asked: list[str] = []
    raw.set_trace_callback(asked.append)
    measured(raw, Made([MadeTask(1_000.0, 3, (MadeAttempt(1_000.0, 1_025.0, 1_075.0),), 1_075.0, started=1_025.0)]))
    raw.set_trace_callback(None)
    plans = [
        row["detail"]
        for sql in asked
        if sql.lstrip().startswith(("SELECT", "WITH")) and "attempts" in sql + "tasks"
        for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}")
    ]
    assert len(plans) > 10
    tables = ("SCAN a", "SCAN t", "SCAN tasks", "SCAN attempts")
    assert [detail for detail in plans if detail.startswith(tables) and "INDEX" not in detail] == []


async def a_history(path: Path) -> History:
    store = SqliteStore(path)
    await store.open()
    await store.close()
    return History(path)


def endless(raw: sqlite3.Connection) -> object:
    return raw.execute("WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n").fetchone()


async def test_a_read_that_nobody_waits_for_is_stopped_and_holds_up_nothing(tmp_path: Path) -> None:
    async with await a_history(tmp_path / "h.db") as history:
        asked = asyncio.create_task(history._slow_reader.run(endless))
        await asyncio.sleep(0.05)
        assert await history.list() == []
        assert not asked.done()
        asked.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({asked})
        assert asked.cancelled()
        assert (await history.activity(0, 1)).shares == {}, "the connection goes on"
        again = asyncio.create_task(history._slow_reader.run(endless))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE_S):
            await history.close()
        with pytest.raises(StoreError, match="the history was closed before this span was measured"):
            await again


async def test_a_read_that_is_stopped_stops_no_other(tmp_path: Path) -> None:
    """One waits for the other; whichever is given up, the other one goes on."""
    let_go = threading.Event()

    def slow(raw: sqlite3.Connection) -> object:
        let_go.wait(PATIENCE_S)
        return raw.execute(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 300000) SELECT count(*) FROM n"
        ).fetchone()[0]

    history = await a_history(tmp_path / "h.db")
    patient = CancellableReader(ReadConnection(history.path))
    for given_up in (0, 1):
        let_go.clear()
        asked = [asyncio.create_task(patient.run(slow)) for _ in range(2)]
        await asyncio.sleep(0.05)
        asked[given_up].cancel()
        await asyncio.sleep(0)
        let_go.set()
        async with asyncio.timeout(PATIENCE_S):
            found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found[given_up], asyncio.CancelledError)
        assert found[1 - given_up] == 300_000
    await patient.close()
    await history.close()


async def test_a_read_that_takes_too_long_is_one_line(tmp_path: Path) -> None:
    history = await a_history(tmp_path / "h.db")
    patient = CancellableReader(ReadConnection(history.path), limit_s=0.01)
    with pytest.raises(StoreError, match=r"too much activity to be measured within 0\.01 s: choose a shorter one"):
        await patient.run(endless)
    await patient.close()
    await history.close()
