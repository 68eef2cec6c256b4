"""Meters: what they read is what a naive computation over all events gives, and their memory does not grow."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as e
from engine.cores.port import FaultKind, SlotState, Usage
from engine.task import AttemptState, Task, TaskSpec, TaskState
from engine.telemetry.meters import Meters
from engine.telemetry.windows import BUCKET_S, BUCKETS, MAX_SAMPLES, Quantiles, Samples, Sums
from tests.profiles import examples

SLOTS = {"a/0": "a", "a/1": "a", "b/0": "b"}
T0 = 1_700_000_000.0


def slot(at: float, id: str = "a/0", state: SlotState = SlotState.UP) -> e.SlotChanged:
    return e.SlotChanged(at, id, id[0], state, "")


def start(at: float, task: int = 1, id: str = "a/0", *, ready: float | None = None) -> e.AttemptStarted:
    return e.AttemptStarted(at, task, 1, 1, id, id[0], None, at if ready is None else ready, "")


def piece(at: float, task: int = 1, id: str = "a/0", tokens: int = 1, kind: Any = "text") -> e.AttemptProgress:
    return e.AttemptProgress(at, task, 1, 1, id, kind, "x", tokens)


def end(
    at: float,
    task: int = 1,
    id: str = "a/0",
    *,
    model: str | None = "m",
    fault: FaultKind | None = None,
    load: float = 0.0,
) -> e.AttemptEnded:
    state = AttemptState.DONE if fault is None else AttemptState.FAILED
    return e.AttemptEnded(at, task, 1, 1, id, state, model, usage=Usage(load_s=load), fault=fault)


def folded(*events: e.Event) -> Meters:
    meters = Meters()
    for event in events:
        meters.fold(event)
    return meters


def test_one_attempts_figures() -> None:
    meters = folded(
        slot(T0),
        slot(T0, "a/1"),
        start(T0 + 10, ready=T0 + 7),
        piece(T0 + 10.5, kind="progress", tokens=0),
        piece(T0 + 12, kind="thinking"),
        piece(T0 + 13, tokens=9),
        end(T0 + 20, load=1.5),
    )
    reading = meters.core("a", T0 + 20)
    assert (reading.ttft, reading.wait) == (Quantiles(1, 2.0, 2.0), Quantiles(1, 3.0, 3.0))
    assert reading.utilisation == pytest.approx(10 / 40)
    assert (reading.attempts, reading.errors, reading.swaps, reading.load_s, reading.model) == (1, 0, 0, 1.5, "m")
    assert (reading.strip[-3:], sum(reading.strip) * BUCKET_S) == ((10 / BUCKET_S, 0.0, 0.0), 10)
    assert meters.slot_strip("a/0", T0 + 20) == reading.strip
    assert sum(meters.slot_strip("a/1", T0 + 20)) == 0


def test_a_slot_that_is_not_offered_counts_only_while_it_works() -> None:
    meters = folded(slot(T0), start(T0), slot(T0 + 5, state=SlotState.DOWN), end(T0 + 10), slot(T0, "a/1"))
    meters.fold(slot(T0, "a/1", SlotState.UNPROVEN))
    assert meters.core("a", T0 + 100).utilisation == pytest.approx(1.0)
    assert folded(slot(T0, state=SlotState.DOWN)).core("a", T0 + 9).utilisation is None


def test_another_model_is_a_swap_and_the_first_is_none() -> None:
    models = ["m", "m", None, "n", "m"]
    events: list[e.Event] = []
    for n, model in enumerate(models):
        fault = None if model else FaultKind.SERVER
        events += [start(T0 + n, n), end(T0 + n + 0.5, n, model=model or "other", fault=fault, load=0.25)]
    reading = folded(*events).core("a", T0 + 9)
    assert (reading.swaps, reading.load_s, reading.attempts, dict(reading.faults)) == (2, 1.25, 5, {"server": 1})


def test_faults_come_most_frequent_first() -> None:
    kinds = [FaultKind.BUSY, FaultKind.SERVER, FaultKind.SERVER]
    events = [ev for n, kind in enumerate(kinds) for ev in (start(T0 + n, n), end(T0 + n, n, fault=kind))]
    reading = folded(*events).core("a", T0 + 5)
    assert (list(reading.faults.items()), reading.errors) == ([("server", 2), ("busy", 1)], 3)


def test_all_of_it_is_forgotten_after_the_window() -> None:
    meters = folded(slot(T0), start(T0), piece(T0 + 1), end(T0 + 2, fault=FaultKind.BUSY, load=1))
    reading = meters.core("a", T0 + 2 + BUCKET_S * BUCKETS)
    assert (reading.attempts, reading.errors, reading.load_s, reading.ttft, reading.wait) == (0, 0, 0, None, None)
    assert (sum(reading.strip), reading.utilisation, reading.tokens_per_s) == (0, 0, 0)


def test_late_and_unknown_attempts_change_nothing() -> None:
    meters = folded(start(T0), piece(T0 + 1))
    before = meters.core("a", T0 + 4)
    for event in (piece(T0 + 2, 7), piece(T0 + 2, id="b/0"), end(T0 + 3, 7), end(T0 + 3, id="b/0")):
        meters.fold(event)
    assert meters.core("a", T0 + 4) == before
    assert meters.core("nobody", T0).attempts == 0


def test_throughput_of_all_cores() -> None:
    meters = folded(start(T0), start(T0, 2, "b/0"), piece(T0, tokens=30), piece(T0 + 1, 2, "b/0", tokens=20))
    assert meters.tokens_per_s(T0 + 2) == pytest.approx(30 / 2 + 20)
    assert meters.strip(T0 + 2)[-1] == 50 / 2
    assert (Meters().strip(T0), Meters().tokens_per_s(T0)) == ((0.0,) * BUCKETS, 0.0)


def test_tasks_a_minute_beyond_any_bound() -> None:
    meters = Meters()
    task = Task(1, TaskSpec(prompt="x"), T0, 5)
    for n in range(5_000):
        meters.fold(e.TaskEnded(T0 + n / 100, n, TaskState.DONE, task))
        meters.fold(e.TaskEnded(T0 + n / 100, n, TaskState.FAILED, task))
    assert meters.tasks_per_minute(T0 + 50) == 5_000
    assert meters.tasks_per_minute(T0 + 60) == 4_900
    assert meters.tasks_per_minute(T0 + 200) == 0


def test_after_lost_events_what_runs_is_as_the_snapshot_says() -> None:
    meters = folded(slot(T0), slot(T0, "a/1"), start(T0), start(T0, 2, "a/1"), piece(T0 + 1), piece(T0 + 1, 2, "a/1"))
    snapshot: list[e.Event] = [
        slot(T0 + 10),
        slot(T0 + 10, "a/1", SlotState.DOWN),
        start(T0),
        piece(T0 + 10, tokens=500),
        start(T0 + 6, 3, "b/0", ready=T0 + 5),
        piece(T0 + 10, 3, "b/0", tokens=40),
    ]
    meters.resync(snapshot)
    reading = meters.core("a", T0 + 20)
    assert (reading.attempts, sum(reading.strip) * BUCKET_S) == (2, 2), "nothing is counted twice"
    assert reading.utilisation == pytest.approx((20 + 10) / 30)
    meters.fold(piece(T0 + 20, 3, "b/0"))
    other = meters.core("b", T0 + 20)
    assert (other.attempts, other.ttft, other.wait) == (1, None, Quantiles(1, 1.0, 1.0))


def test_a_slot_that_is_gone_after_a_restart_is_offered_no_longer() -> None:
    meters = folded(slot(T0), slot(T0, "a/1"))
    meters.resync([slot(T0 + 10)])
    meters.fold(start(T0 + 10))
    assert meters.core("a", T0 + 20).utilisation == pytest.approx(10 / 30)


def test_memory_is_bounded() -> None:
    samples, sums = Samples(), Sums()
    for n in range(3 * MAX_SAMPLES):
        samples.add(T0 + n / 100, float(n))
        sums.add(T0 + n * 1_000, 1)
    kept = samples.quantiles(T0 + 30)
    assert kept is not None
    assert (kept.n, kept.p50) == (MAX_SAMPLES, 2.5 * MAX_SAMPLES - 0.5), "the newest ones"
    assert (len(samples._ranked), len(sums._sums)) == (MAX_SAMPLES, BUCKETS)


# -- against a naive computation --------------------------------------------------------------------------------------

steps = st.tuples(
    st.one_of(st.floats(0, 3), st.floats(0, 30), st.floats(0, 400), st.just(float(BUCKET_S))),
    st.sampled_from(sorted(SLOTS)),
    st.sampled_from(["start", "piece", "piece", "piece", "end", "fail", "state"]),
    st.integers(0, 9),
)


def played(script: Sequence[tuple[float, str, str, int]]) -> tuple[list[e.Event], float]:
    """Events such as a kernel gives: one attempt a slot at a time, each with one end."""
    at, task = T0, 0
    events: list[e.Event] = [slot(at, place) for place in SLOTS]
    running: dict[str, int] = {}
    for wait, place, what, n in script:
        at += wait
        if what == "state":
            events.append(slot(at, place, list(SlotState)[n % len(SlotState)]))
        elif what == "start" and place not in running:
            task += 1
            running[place] = task
            events.append(start(at, task, place, ready=at - n))
        elif what == "piece" and place in running:
            events.append(piece(at, running[place], place, n, "text" if n else "progress"))
        elif what == "end" and place in running:
            events.append(end(at, running.pop(place), place, model=f"m{n % 3}", load=n / 4))
        elif what == "fail" and place in running:
            events.append(end(at, running.pop(place), place, fault=list(FaultKind)[n % len(FaultKind)]))
    return events, at


def overlap(since: float, until: float, begin: float, now: float) -> float:
    return max(0.0, min(until, now) - max(since, begin))


class Naive:
    """The definitions of docs/metrics.md, over all events that ever were."""

    def __init__(self, events: Sequence[e.Event], now: float) -> None:
        self.events, self.now = events, now
        self.begin = (now // BUCKET_S - BUCKETS + 1) * BUCKET_S

    def recent(self, kind: type[Any], core: str) -> list[Any]:
        found = [ev for ev in self.events if isinstance(ev, kind) and SLOTS[ev.slot] == core]
        return [ev for ev in found if ev.at >= self.begin]

    def strip(self, slots: Sequence[str]) -> list[float]:
        values = [0.0] * BUCKETS
        for ev in self.events:
            if isinstance(ev, e.AttemptProgress) and ev.slot in slots and ev.at >= self.begin:
                values[int((ev.at - self.begin) // BUCKET_S)] += ev.tokens / BUCKET_S
        values[-1] *= BUCKET_S / max(1.0, self.now % BUCKET_S)
        return values

    def rate(self, core: str) -> float:
        pieces = [
            ev
            for ev in self.events
            if isinstance(ev, e.AttemptProgress) and SLOTS[ev.slot] == core and ev.kind != "progress"
        ]
        if not pieces:
            return 0.0
        since = ((self.now - 10) // BUCKET_S + 1) * BUCKET_S
        tokens = sum(ev.tokens for ev in pieces if ev.at >= since)
        return tokens / max(1.0, min(self.now - since, self.now - pieces[0].at))

    def ttft(self, core: str) -> list[float]:
        firsts: dict[int, float] = {}
        for ev in self.events:
            if isinstance(ev, e.AttemptProgress) and SLOTS[ev.slot] == core and ev.kind != "progress":
                firsts.setdefault(ev.task, ev.at)
        starts = {ev.task: ev.at for ev in self.events if isinstance(ev, e.AttemptStarted)}
        return [at - starts[task] for task, at in firsts.items() if at >= self.begin]

    def utilisation(self, core: str) -> float | None:
        busy = offered = 0.0
        for place in (place for place, name in SLOTS.items() if name == core):
            up, runs, since = False, False, T0
            mine: list[Any] = [ev for ev in self.events if getattr(ev, "slot", None) == place]
            for ev in [*mine, None]:
                until = self.now if ev is None else ev.at
                busy += overlap(since, until, self.begin, self.now) if runs else 0
                offered += overlap(since, until, self.begin, self.now) if runs or up else 0
                since = until
                if isinstance(ev, e.SlotChanged):
                    up = ev.state is SlotState.UP
                runs = isinstance(ev, e.AttemptStarted) or (runs and not isinstance(ev, e.AttemptEnded))
        return busy / offered if offered > 0 else None

    def swaps(self, core: str) -> int:
        good = [
            ev
            for ev in self.events
            if isinstance(ev, e.AttemptEnded) and SLOTS[ev.slot] == core and ev.state is AttemptState.DONE
        ]
        return sum(1 for old, new in pairwise(good) if new.model != old.model and new.at >= self.begin)


def agrees(found: Quantiles | None, values: list[float]) -> None:
    if not values:
        assert found is None
        return
    assert found is not None and found.n == len(values)
    assert found.p50 == pytest.approx(statistics.median(values))
    ranked, place = sorted(values), (len(values) - 1) * 0.95
    low, high = ranked[math.floor(place)], ranked[math.ceil(place)]
    assert found.p95 == pytest.approx(low + (high - low) * (place - math.floor(place)))


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(steps, max_size=60), st.floats(0, 350))
def test_readings_are_those_of_a_naive_computation(script: list[tuple[float, str, str, int]], later: float) -> None:
    events, at = played(script)
    now = at + later
    meters, naive = folded(*events), Naive(events, now)
    for core in ("a", "b"):
        reading = meters.core(core, now)
        ends = naive.recent(e.AttemptEnded, core)
        assert reading.strip == pytest.approx(naive.strip([place for place, name in SLOTS.items() if name == core]))
        assert reading.tokens_per_s == pytest.approx(naive.rate(core))
        assert reading.attempts == len(naive.recent(e.AttemptStarted, core))
        agrees(reading.wait, [ev.at - ev.ready_at for ev in naive.recent(e.AttemptStarted, core)])
        agrees(reading.ttft, naive.ttft(core))
        assert reading.faults == Counter(ev.fault.value for ev in ends if ev.fault)
        assert reading.swaps == naive.swaps(core)
        assert reading.load_s == pytest.approx(sum(ev.usage.load_s for ev in ends))
        expected = naive.utilisation(core)
        assert (reading.utilisation is None) == (expected is None)
        assert reading.utilisation == pytest.approx(expected, abs=1e-6)
    for place in SLOTS:
        assert list(meters.slot_strip(place, now)) == pytest.approx(naive.strip([place])) or not meters.slot_strip(
            place, now
        )


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.floats(0, 700), st.integers(1, 5)), max_size=30), st.floats(0, 1_100))
def test_sums_take_late_amounts_into_their_own_bucket(amounts: list[tuple[float, int]], now: float) -> None:
    sums = Sums()
    kept: list[tuple[int, int]] = []
    latest = -(10**9)
    for at, amount in amounts:
        sums.add(at, amount)
        number = int(at // BUCKET_S)
        latest = max(latest, number)
        if number > latest - BUCKETS:
            kept.append((number, amount))
    end = int(now // BUCKET_S)
    expected = [
        sum(amount for number, amount in kept if number == wanted and number > latest - BUCKETS)
        for wanted in range(end - BUCKETS + 1, end + 1)
    ]
    assert sums.series(now) == expected
    assert sums.total(now) == sum(expected)
