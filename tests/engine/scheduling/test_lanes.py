"""The ready queue in lanes against a naive sorted list, and what affinity promises of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from engine.scheduling import Fit, LaneScheduler, Ready, parse_policy
from engine.scheduling.policies.fifo import Fifo
from engine.scheduling.policy import Rankable
from tests.engine.scheduling.helpers import FITS, POLICIES, Item, bounds, choose, sort_key, urgency
from tests.profiles import examples

MODELS = ("a", "b", "c")
WITH_AFFINITY = [
    "fifo:affinity=2",
    "npps:affinity=3",
    "npps:ageing=7.5,affinity=2",
    "npps:ageing=0.5,affinity=3",
    "npps:ageing=7.5,affinity_s=15",
    "fifo:affinity=3,affinity_s=10",
    "npps:affinity_s=15",
]
priorities = st.integers(0, 9)
lanes = st.tuples(st.sampled_from(MODELS), st.booleans())
tables_of_fits = st.lists(st.dictionaries(lanes, st.sampled_from(FITS)), max_size=3)


@dataclass
class Table:
    """An offer that says what a table says; what is not in it can't run."""

    fits: Mapping[tuple[str, bool], str]

    def fit(self, item: Ready[int]) -> Fit:
        return Fit[self.fits.get((item.model or "", item.id % 2 == 0), "never").upper()]


class LaneMachine(RuleBasedStateMachine):
    ids: Bundle[int] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.policy = "npps:affinity=3"
        self.scheduler: LaneScheduler[int] = LaneScheduler(
            parse_policy(self.policy), lambda item: (item.model, item.id % 2 == 0)
        )
        self.model: list[Item] = []
        self.clock = 0.0
        self.count = 0

    def ordered(self) -> list[int]:
        return [item.id for item in sorted(self.model, key=sort_key(self.policy))]

    @rule(target=ids, priority=priorities, gap=st.floats(0, 20), model=st.sampled_from(MODELS))
    def push(self, priority: int, gap: float, model: str) -> int:
        self.clock += gap
        self.count += 1
        self.scheduler.push(Ready(self.count, priority, self.clock, self.count, model))
        self.model.append(Item(self.count, priority, self.clock, self.count, model))
        return self.count

    @rule()
    def pop(self) -> None:
        expected = self.ordered()
        item = self.scheduler.pop()
        assert (item.id if item else None) == (expected[0] if expected else None)
        self.model = [left for left in self.model if item is None or left.id != item.id]

    @rule(tables=tables_of_fits, gap=st.floats(0, 20))
    def pick(self, tables: list[dict[tuple[str, bool], str]], gap: float) -> None:
        self.clock += gap
        offers = [Table(fits) for fits in tables]
        naive = [lambda item, fits=fits: fits.get(item.lane, "never") for fits in tables]
        expected = choose(self.model, self.policy, naive, self.clock)
        ahead = self.scheduler.look_ahead().pick(offers, self.clock)
        picked = self.scheduler.pick(offers, self.clock)
        assert (ahead and (ahead[0].id, ahead[1])) == (picked and (picked[0].id, picked[1]))
        if expected is None:
            assert picked is None
            return
        item, offer, passed = expected
        assert picked is not None
        assert (picked[0].id, picked[1]) == (item.id, offer)
        self.model.remove(item)
        if passed is not None:
            passed.passes += 1
            passed.passed_at = self.clock if passed.passed_at is None else passed.passed_at

    @rule(id=ids)
    def push_again(self, id: int) -> None:
        if any(item.id == id for item in self.model):
            with pytest.raises(ValueError, match="ready already"):
                self.scheduler.push(Ready(id, 0, 0.0, id))

    @rule(id=consumes(ids))
    def cancel(self, id: int) -> None:
        was_ready = any(item.id == id for item in self.model)
        assert (self.scheduler.remove(id) is not None) == was_ready
        self.model = [item for item in self.model if item.id != id]

    @rule(id=ids, priority=priorities)
    def reprioritise(self, id: int, priority: int) -> None:
        found = [item for item in self.model if item.id == id]
        assert self.scheduler.reprioritise(id, priority) == bool(found)
        for item in found:
            item.priority = priority

    @rule(policy=st.sampled_from(POLICIES + WITH_AFFINITY))
    def switch(self, policy: str) -> None:
        self.policy = policy
        self.scheduler.switch(parse_policy(policy))

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert len(self.scheduler) == len(self.model)
        assert [item.id for item in self.scheduler.snapshot()] == self.ordered()
        ahead = self.scheduler.look_ahead()
        assert [item.id for item in iter(ahead.pop, None)] == self.ordered()
        assert {item.id for item in self.scheduler} == {item.id for item in self.model}
        assert all(item.id in self.scheduler for item in self.model)
        passes = {item.id: (item.passes, item.passed_at) for item in self.model}
        assert {item.id: (item.passes, item.passed_at) for item in self.scheduler} == passes

    @invariant()
    def keeps_no_empty_lanes(self) -> None:
        assert len(self.scheduler.heads()) == len(self.scheduler._lanes)

    def teardown(self) -> None:
        expected = self.ordered()
        popped = []
        while (item := self.scheduler.pop()) is not None:
            popped.append(item.id)
        assert popped == expected


TestLanes = LaneMachine.TestCase
TestLanes.settings = settings(max_examples=examples(200), stateful_step_count=40, deadline=None)


@dataclass
class Gpu:
    """A slot that holds one model."""

    holds: str = ""

    def fit(self, item: Ready[int]) -> Fit:
        return Fit.HELD if item.model == self.holds else Fit.SWAP if self.holds else Fit.ROOM


arrivals = st.lists(st.tuples(priorities, st.sampled_from(MODELS), st.integers(0, 3)), min_size=1, max_size=60)


@given(arrivals, st.sampled_from(WITH_AFFINITY), st.integers(1, 3))
@settings(max_examples=examples(200), deadline=None)
def test_what_affinity_promises(work: list[tuple[int, str, int]], name: str, slots: int) -> None:
    """On slots with a model each, while tasks come and go: nothing lost or repeated, the bound kept, nobody demoted.

    This does not ask how the choice is made; it only judges what was chosen.
    """
    scheduler: LaneScheduler[int] = LaneScheduler(parse_policy(name), lambda item: item.model)
    gpus = [Gpu() for _ in range(slots)]
    ready: dict[int, Item] = {}
    passes, first_passed, done = Counter[int](), dict[int, float](), list[int]()
    limit, seconds = bounds(name)
    clock, number = 0.0, 0
    while number < len(work) or ready:
        for _ in range(work[number][2] if number < len(work) else 0):  # so many come before the next dispatch
            if number < len(work):
                priority, model, _ = work[number]
                ready[number] = Item(number, priority, clock, number, model)
                scheduler.push(Ready(number, priority, clock, number, model))
                number += 1
        if number < len(work) and work[number][2] == 0:
            work[number] = (*work[number][:2], 1)
        picked = scheduler.pick(gpus, clock)
        assert (picked is not None) == bool(ready), "a free slot stays idle only when nothing is ready"
        if picked is not None:
            item, where = ready.pop(picked[0].id), gpus[picked[1]]
            ahead = [other for other in ready.values() if sort_key(name)(other) < sort_key(name)(item)]
            if ahead:
                head = min(ahead, key=sort_key(name))
                assert where.holds == item.model != head.model
                assert all(gpu.holds not in ("", head.model) for gpu in gpus)
                assert all(urgency(name)(item) <= urgency(name)(other) for other in ahead)
                passes[head.id] += 1
                assert clock - first_passed.setdefault(head.id, clock) < seconds
                assert passes[head.id] <= limit
            where.holds = item.model
            done.append(item.id)
        clock += 1.0
    assert sorted(done) == list(range(len(work)))


def test_the_head_goes_at_its_bound() -> None:
    scheduler: LaneScheduler[int] = LaneScheduler(parse_policy("fifo:affinity=2"), lambda item: item.model)
    for number, model in enumerate("abaaab"):
        scheduler.push(Ready(number, 5, float(number), number, model))
    gpu, order = Gpu("a"), list[int]()
    while (picked := scheduler.pick([gpu], 0.0)) is not None:
        order.append(picked[0].id)
        gpu.holds = picked[0].model or ""
    assert order == [0, 2, 3, 1, 5, 4]


def test_the_bound_in_seconds_is_from_the_first_pass() -> None:
    scheduler: LaneScheduler[int] = LaneScheduler(parse_policy("fifo:affinity_s=30"), lambda item: item.model)
    for number, model in enumerate("baaaa"):
        scheduler.push(Ready(number, 5, 0.0, number, model))
    gpu = Gpu("a")
    order = [picked[0].id for now in (100.0, 129.0, 130.0) if (picked := scheduler.pick([gpu], now)) is not None]
    assert order == [1, 2, 0]


def test_a_more_urgent_head_is_not_passed() -> None:
    scheduler: LaneScheduler[int] = LaneScheduler(parse_policy("npps:affinity=9"), lambda item: item.model)
    scheduler.push(Ready(1, 3, 0.0, 1, "b"))
    scheduler.push(Ready(2, 4, 0.0, 2, "a"))
    picked = scheduler.pick([Gpu("a")], 0.0)
    assert picked is not None and picked[0].id == 1


def test_one_that_waits_for_a_drain_keeps_its_core_and_only_that() -> None:
    """The head waits for the first core; what follows goes to the second one, and nothing more to the first."""
    scheduler: LaneScheduler[int] = LaneScheduler(parse_policy("fifo"), lambda item: item.model)
    for number, model in enumerate("bac"):
        scheduler.push(Ready(number, 5, 0.0, number, model))
    draining = Table({("b", True): "drain", ("a", False): "held", ("c", True): "drain"})
    other = Table({("c", True): "swap"})
    picked = scheduler.pick([draining, other], 0.0)
    assert picked is not None and (picked[0].id, picked[1]) == (2, 1)
    assert scheduler.pick([draining], 0.0) is None


def test_under_ageing_nothing_passes_a_more_urgent_one_that_stands_between() -> None:
    """An old task of priority 9 is the head; one of 5 may pass it, but not the one of 2 that stands before that."""
    scheduler: LaneScheduler[int] = LaneScheduler(parse_policy("npps:ageing=10,affinity=9"), lambda item: item.model)
    scheduler.push(Ready(1, 9, 0.0, 1, "b"))
    scheduler.push(Ready(2, 2, 80.0, 2, "c"))
    scheduler.push(Ready(3, 5, 90.0, 3, "a"))
    gpu = Gpu("a")
    assert [item.id for item in scheduler.snapshot()] == [1, 2, 3]
    picked = scheduler.pick([gpu], 100.0)
    assert picked is not None and picked[0].id == 1
    scheduler.push(Ready(1, 9, 0.0, 1, "b"))
    scheduler.remove(2)
    picked = scheduler.pick([gpu], 100.0)
    assert picked is not None and picked[0].id == 3, "with nothing between them it passes"


def test_a_head_is_not_passed_while_a_free_slot_has_nothing_better_to_do() -> None:
    scheduler: LaneScheduler[int] = LaneScheduler(parse_policy("fifo:affinity=9"), lambda item: item.model)
    for number, model in enumerate("ba"):
        scheduler.push(Ready(number, 5, 0.0, number, model))
    busy, spare = Gpu("a"), Gpu("c")
    picked = scheduler.pick([busy, spare], 0.0)
    assert picked is not None and (picked[0].id, picked[1], picked[0].passes) == (0, 1, 0)
    picked = scheduler.pick([busy], 0.0)
    assert picked is not None and picked[0].id == 1


def test_fits_are_ranked_best_first() -> None:
    assert [fit.name.lower() for fit in sorted(Fit)] == list(FITS)
    ranked = [Table({("a", True): fit}) for fit in reversed(FITS[:4])]
    while ranked:
        scheduler: LaneScheduler[int] = LaneScheduler(parse_policy("fifo"), lambda item: item.model)
        scheduler.push(Ready(0, 5, 0.0, 0, "a"))
        picked = scheduler.pick(ranked, 0.0)
        best = ranked.pop()
        assert (picked is None) == (best.fits["a", True] == "drain")
        assert picked is None or picked[1] == len(ranked)


def test_a_policy_that_raises_leaves_the_queue_as_it_was() -> None:
    class Raising(Fifo):
        def rank(self, item: Rankable) -> float:
            return 1 / item.priority

    lanes: LaneScheduler[int] = LaneScheduler(Fifo(), lambda item: item.model)
    for number in range(4):
        lanes.push(Ready(number, number, float(number), number, "ab"[number % 2]))
    with pytest.raises(ZeroDivisionError):
        lanes.switch(Raising())
    assert lanes.policy == Fifo()
    assert [item.id for item in lanes.snapshot()] == [0, 1, 2, 3]
    assert lanes.remove(0) is not None
