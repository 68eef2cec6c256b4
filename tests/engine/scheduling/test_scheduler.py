"""The scheduler against a naive sorted list: any mix of operations loses, repeats and misorders nothing."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from engine.scheduling import Policy, Ready, Scheduler, parse_policy
from tests.engine.scheduling.helpers import POLICIES, Item, sort_key
from tests.profiles import examples

priorities = st.integers(0, 9)


def reprioritise(scheduler: Scheduler[int], id: int, priority: int) -> bool:
    """Give an item another priority, as a scheduler of lanes does: out, and in again."""
    item = scheduler.remove(id)
    if item is not None:
        item.priority = priority
        scheduler.push(item)
    return item is not None


class SchedulerMachine(RuleBasedStateMachine):
    ids: Bundle[int] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.policy = "fifo"
        self.scheduler: Scheduler[int] = Scheduler(parse_policy("fifo"))
        self.model: list[Item] = []
        self.clock = 0.0
        self.count = 0

    def ordered(self) -> list[int]:
        return [item.id for item in sorted(self.model, key=sort_key(self.policy))]

    @rule(target=ids, priority=priorities, gap=st.floats(0, 20))
    def push(self, priority: int, gap: float) -> int:
        self.clock += gap
        self.count += 1
        self.scheduler.push(Ready(self.count, priority, self.clock, self.count))
        self.model.append(Item(self.count, priority, self.clock, self.count))
        return self.count

    @rule()
    def pop(self) -> None:
        expected = self.ordered()
        item = self.scheduler.pop()
        assert (item.id if item else None) == (expected[0] if expected else None)
        self.model = [left for left in self.model if item is None or left.id != item.id]

    @rule(id=ids)
    def push_again(self, id: int) -> None:
        if any(item.id == id for item in self.model):
            with pytest.raises(ValueError, match="ready already"):
                self.scheduler.push(Ready(id, 0, 0.0, id))

    @rule(id=consumes(ids))
    def cancel(self, id: int) -> None:
        was_ready = any(item.id == id for item in self.model)
        removed = self.scheduler.remove(id)
        assert (removed is not None) == was_ready
        self.model = [item for item in self.model if item.id != id]

    @rule(id=ids, priority=priorities)
    def reprioritise(self, id: int, priority: int) -> None:
        found = [item for item in self.model if item.id == id]
        assert reprioritise(self.scheduler, id, priority) == bool(found)
        for item in found:
            item.priority = priority

    @rule(policy=st.sampled_from(POLICIES))
    def switch(self, policy: str) -> None:
        self.policy = policy
        self.scheduler.switch(parse_policy(policy))

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert len(self.scheduler) == len(self.model)
        assert [item.id for item in self.scheduler.snapshot()] == self.ordered()
        assert {item.id for item in self.scheduler} == {item.id for item in self.model}

    def teardown(self) -> None:
        expected = self.ordered()
        popped = []
        while (item := self.scheduler.pop()) is not None:
            popped.append(item.id)
        assert popped == expected


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)


def filled(policy: str, priorities: list[int], *, gap: float = 1.0) -> Scheduler[int]:
    scheduler: Scheduler[int] = Scheduler(parse_policy(policy))
    for number, priority in enumerate(priorities):
        scheduler.push(Ready(number, priority, number * gap, number))
    return scheduler


def order(scheduler: Scheduler[int]) -> list[int]:
    return [item.id for item in scheduler.snapshot()]


def test_equal_priorities_are_fifo() -> None:
    assert order(filled("npps", [5, 5, 0, 5, 0])) == [2, 4, 0, 1, 3]


def test_a_switch_in_the_middle_keeps_everything() -> None:
    scheduler = filled("fifo", [9, 0, 5, 0])
    first = scheduler.pop()
    assert first is not None and first.id == 0
    scheduler.switch(parse_policy("npps"))
    assert order(scheduler) == [1, 3, 2]
    scheduler.switch(parse_policy("fifo"))
    assert order(scheduler) == [1, 2, 3]


def test_strict_npps_starves_and_ageing_does_not() -> None:
    """A stream of urgent arrivals, one a second, each served in a second: the least urgent task among them."""

    def served_after(policy: str) -> int | None:
        scheduler: Scheduler[int] = Scheduler(parse_policy(policy))
        scheduler.push(Ready(0, 9, 0.0, 0))
        for second in range(1, 500):
            scheduler.push(Ready(second, 0, float(second), second))
            head = scheduler.pop()
            assert head is not None
            if head.id == 0:
                return second
        return None

    assert served_after("npps") is None
    assert served_after("npps:ageing=10") == 90
    assert served_after("fifo") == 1


def test_ageing_makes_up_one_level_in_its_seconds() -> None:
    scheduler = filled("npps:ageing=60", [5])
    scheduler.push(Ready(1, 4, 59.0, 1))
    scheduler.push(Ready(2, 4, 61.0, 2))
    assert order(scheduler) == [1, 0, 2]


def test_many_changes_do_not_pile_up() -> None:
    scheduler = filled("npps", [5] * 10)
    for turn in range(1000):
        assert reprioritise(scheduler, turn % 10, turn % 7)
    assert len(scheduler._heap) < 100
    assert len(scheduler) == 10


class Longest:
    """A policy of someone else's, given as an object."""

    name = "last"

    def rank(self, item: object) -> float:
        assert isinstance(item, Ready)
        return -item.arrival

    def level(self, item: object) -> float:
        return 0.0


def test_any_policy_object_will_do() -> None:
    policy: Policy = Longest()
    scheduler = filled("fifo", [5, 5, 5])
    scheduler.switch(policy)
    assert order(scheduler) == [2, 1, 0]
