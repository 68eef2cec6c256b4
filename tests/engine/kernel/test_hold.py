"""Held tasks: they keep their position and are not dispatched until they are released."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.events import TaskHeld, TaskRecovered
from engine.kernel import Kernel
from engine.task import TaskSpec, TaskState
from persistence import SqliteStore
from tests.engine.kernel.helpers import GateCore, make_kernel, seen, within


async def queued(kernel: Kernel, *priorities: int) -> list[int]:
    return await kernel.submit_many([TaskSpec(prompt="p", priority=priority) for priority in priorities])


async def order_of(kernel: Kernel, core: GateCore, count: int) -> list[int]:
    """The tasks of the next `count` attempts, each ended at once; nothing else is dispatched after them."""
    order = []
    for _ in range(count):
        running = await core.next()
        order.append(running.attempt.task)
        running.end()
        await kernel.wait(running.attempt.task)
    await asyncio.sleep(0)
    assert core.begun.empty()
    return order


@pytest.mark.parametrize(("policy", "expected"), [("fifo", [1, 2, 3, 4]), ("npps", [2, 4, 1, 3])])
async def test_a_released_task_comes_back_at_its_own_place(policy: str, expected: list[int]) -> None:
    core = GateCore()
    kernel = make_kernel(core, policy=policy)
    await kernel.start(paused=True)
    ids = await queued(kernel, 5, 0, 9, 0)
    for task in ids[:2]:
        assert kernel.hold(task) and kernel.hold(task)
    assert [task.id for task in kernel.live_tasks()][-2:] == ids[:2]
    assert kernel.queued_count == 4
    for task in ids[:2]:
        assert kernel.release(task) and kernel.release(task)
    kernel.resume()
    assert await order_of(kernel, core, 4) == expected
    await kernel.stop()


async def test_a_held_task_is_not_dispatched_and_the_others_are() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    subscription = kernel.subscribe()
    await kernel.start(paused=True)
    first, second = await queued(kernel, 0, 5)
    assert kernel.hold(first)
    kernel.resume()
    assert await order_of(kernel, core, 1) == [second]
    assert (kernel.queued_count, kernel.running_count) == (1, 0)
    await within(kernel.drain())
    kernel.resume()
    kernel.release(first)
    assert await order_of(kernel, core, 1) == [first]
    final = await kernel.wait(first)
    assert (final.state, final.held) == (TaskState.DONE, False)
    changes = await seen(subscription, TaskHeld, 2)
    assert [(each.task, each.held) for each in changes if isinstance(each, TaskHeld)] == [(first, True), (first, False)]
    await kernel.stop()


async def test_only_a_task_whose_first_turn_has_not_come_can_be_held() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    [task] = await queued(kernel, 5)
    running = await core.next()
    for number in (task, 999):
        assert not kernel.hold(number)
        assert not kernel.release(number)
    running.end()
    await kernel.wait(task)
    assert not kernel.hold(task)
    await kernel.stop()


async def test_a_priority_given_meanwhile_and_a_policy_switched_meanwhile_count_at_the_release() -> None:
    core = GateCore()
    kernel = make_kernel(core, policy="fifo")
    await kernel.start(paused=True)
    a, b, c = await queued(kernel, 5, 5, 5)
    kernel.hold(a)
    kernel.hold(c)
    assert kernel.reprioritise(c, 0)
    assert kernel.reprioritise(a, 9)
    kernel.switch_policy("npps")
    kernel.release(a)
    kernel.release(c)
    kernel.resume()
    assert await order_of(kernel, core, 3) == [c, b, a]
    await kernel.stop()


async def test_a_held_task_can_be_cancelled_and_its_retry_is_not_held() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start(paused=True)
    [task] = await queued(kernel, 5)
    kernel.hold(task)
    assert await kernel.cancel(task)
    final = await kernel.wait(task)
    assert (final.state, final.held) == (TaskState.CANCELLED, False)
    again = await kernel.retry(task)
    kernel.resume()
    assert await order_of(kernel, core, 1) == [again]
    await kernel.stop()


async def test_a_held_task_is_held_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "history.db")
    await store.open()
    kernel = make_kernel(GateCore(), store=store)
    await kernel.start(paused=True)
    held, released, other = await queued(kernel, 0, 5, 5)
    for task in (held, released):
        kernel.hold(task)
    kernel.release(released)
    await kernel.stop()
    assert not kernel.release(held)
    await store.close()

    store, core = SqliteStore(tmp_path / "history.db"), GateCore()
    await store.open()
    kernel = make_kernel(core, store=store)
    subscription = kernel.subscribe()
    recovery = await kernel.start()
    assert [task.held for task in recovery.queued] == [True, False, False]
    [event] = await seen(subscription, TaskHeld)
    assert isinstance(event, TaskHeld)
    assert (event.task, event.held) == (held, True)
    assert await order_of(kernel, core, 2) == [released, other]
    about = [event for event in kernel.snapshot() if isinstance(event, TaskRecovered | TaskHeld)]
    assert [type(event) for event in about] == [TaskRecovered, TaskHeld]
    assert kernel.release(held)
    assert await order_of(kernel, core, 1) == [held]
    await kernel.stop()
    loaded = await store.load(held)
    assert loaded is not None
    assert (loaded.state, loaded.held) == (TaskState.DONE, False)
    await store.close()
