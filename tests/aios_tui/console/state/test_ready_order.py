"""The queue's order is the scheduler's."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from aios_tui.console.state.ready_order import ReadyOrder
from engine.scheduling import Ready, Scheduler, parse_policy

POLICIES = ["fifo", "npps", "npps:ageing=60"]


@dataclass
class Queued:
    id: int
    priority: int
    arrival: float
    ready_since: float | None = None
    held: bool = False


@given(
    st.sampled_from(POLICIES),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 500)), max_size=30),
    st.lists(st.tuples(st.sampled_from(["drop", "change", "switch", "hold"]), st.integers(0, 29), st.integers(0, 9))),
)
def test_any_mix_of_changes_gives_the_schedulers_order(
    policy: str, tasks: list[tuple[int, int]], changes: list[tuple[str, int, int]]
) -> None:
    order = ReadyOrder(policy)
    scheduler: Scheduler[int] = Scheduler(parse_policy(policy))
    items = {n: Queued(n, priority, float(arrival)) for n, (priority, arrival) in enumerate(tasks)}
    for item in items.values():
        order.add(item)
        scheduler.push(Ready(item.id, item.priority, item.arrival, item.id))
    held: dict[int, Queued] = {}
    for what, task, priority in changes:
        if what == "switch":
            scheduler.switch(parse_policy(POLICIES[priority % 3]))
            order.switch(POLICIES[priority % 3], list(items.values()))
        elif task in items and what == "drop":
            del items[task]
            scheduler.remove(task)
            held.pop(task, None)
            assert order.discard(task) and not order.discard(task)
        elif task in items and what == "hold":
            items[task].held = not items[task].held
            order.add(items[task])
            if items[task].held:
                scheduler.remove(task)
                held[task] = items[task]
            else:
                del held[task]
                scheduler.push(Ready(task, items[task].priority, items[task].arrival, task))
        elif task in items:
            items[task].priority = priority
            if (waiting := scheduler.remove(task)) is not None:
                waiting.priority = priority
                scheduler.push(waiting)
            order.add(items[task])
    expected = [ready.id for ready in scheduler.snapshot()]
    assert (order.ready, order.held) == (len(expected), len(held))
    for item in held.values():  # they come after, in the same order among themselves
        scheduler.push(Ready(item.id, item.priority, item.arrival, item.id))
    expected += [ready.id for ready in scheduler.snapshot() if ready.id in held]
    assert list(order) == expected
    assert [order.index(task) for task in expected] == list(range(len(expected)))
    assert order.oldest() == min((item.arrival for item in items.values() if not item.held), default=None)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30),
    st.lists(st.tuples(st.lists(st.integers(0, 35), max_size=12), st.integers(0, 29), st.integers(0, 9)), max_size=6),
)
def test_what_the_scheduler_names_comes_first_and_the_rest_keeps_its_order(
    tasks: list[tuple[int, bool]], steps: list[tuple[list[int], int, int]]
) -> None:
    order, base = ReadyOrder("npps"), ReadyOrder("npps")
    items = {n: Queued(n, priority, float(n), held=held) for n, (priority, held) in enumerate(tasks)}
    for item in items.values():
        order.add(item)
        base.add(item)
    for upcoming, task, priority in steps:
        before = list(order)
        assert order.lead_with(upcoming) is (list(order) != before) or list(order) == before
        head = [each for each in dict.fromkeys(upcoming) if each in items and not items[each].held]
        expected = head + [each for each in base if each not in head]
        assert list(order) == expected == [order[index] for index in range(len(order))]
        assert [order.index(each) for each in expected] == list(range(len(expected)))
        assert not order.lead_with(upcoming)
        if task in items:
            items[task].priority = priority
            order.add(items[task])
            base.add(items[task])
            assert order.lead_with(()) is (len([each for each in head if each != task]) > 0)
            assert list(order) == list(base)
        assert (order.ready, order.held, order.oldest()) == (base.ready, base.held, base.oldest())
