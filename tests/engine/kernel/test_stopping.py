"""Starts and stops that are interrupted, and waiters during a stop."""

from __future__ import annotations

import asyncio

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import CoreInfo
from engine.errors import KernelClosed
from engine.events import AttemptEnded, KernelStateChanged, TaskAccepted, TaskEnded, TaskRequeued
from engine.kernel import KernelConfig
from engine.task import AttemptState, KernelState, TaskSpec, TaskState
from tests.engine.kernel.helpers import CodeAgent, GateCore, Trace, begin, make_kernel, seen, until, within


class CountingCore(GateCore):
    """Counts its stops. Its inspection waits for `look`, its start for `begins`."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0
        self.look = asyncio.Event()
        self.begins = asyncio.Event()
        self.looked = asyncio.Event()
        self.starting = asyncio.Event()
        self.fails: Exception | None = None

    async def start(self) -> None:
        self.starting.set()
        await self.begins.wait()

    async def stop(self, *, drain_s: float) -> None:
        self.stops += 1
        if self.fails is not None:
            raise self.fails
        await super().stop(drain_s=drain_s)

    async def inspect(self) -> CoreInfo:
        self.looked.set()
        await self.look.wait()
        return await super().inspect()


async def test_waiting_for_a_task_that_a_stop_left_queued_ends_at_once() -> None:
    core = GateCore()
    kernel = make_kernel(core, store=Trace())
    running, _ = await begin(kernel, core)
    queued = await kernel.submit(TaskSpec(prompt="q"))
    await kernel.stop()
    for task in (running, queued):
        with pytest.raises(KernelClosed, match="stays queued"):
            await within(kernel.wait(task))


async def test_a_submission_that_becomes_durable_during_a_stop_is_accepted_and_stays_queued() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    store.free.clear()
    submitting = asyncio.create_task(kernel.submit(TaskSpec(prompt="late")))
    await asyncio.sleep(0)
    await kernel.stop()
    store.free.set()
    task = await submitting
    assert [event.task for event in store.events if isinstance(event, TaskAccepted)] == [task]
    with pytest.raises(KernelClosed, match="stays queued"):
        await within(kernel.wait(task))
    assert core.begun.empty()


async def test_what_a_stop_left_queued_can_not_be_changed_any_more() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    running, _ = await begin(kernel, core)
    queued = await kernel.submit(TaskSpec(prompt="q"))
    await kernel.stop()
    count = len(store.events)
    for task in (running, queued):
        assert not await kernel.cancel(task)
        assert not kernel.reprioritise(task, 0)
    kernel.resume()
    await kernel.drain()
    assert kernel.state is KernelState.STOPPED
    assert len(store.events) == count


async def test_a_second_stop_returns_when_the_first_has() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store, config=KernelConfig(stop_grace_s=30))
    core.stubborn = True
    task, _ = await begin(kernel, core)
    first = asyncio.create_task(kernel.stop())
    await asyncio.sleep(0)
    second = asyncio.create_task(kernel.stop())
    done, _ = await asyncio.wait({first, second}, timeout=0.05)
    assert not done
    core.let_go.set()
    await within(second)
    assert [event.task for event in store.events if isinstance(event, TaskRequeued)] == [task]
    await first


async def test_a_second_stop_ends_the_time_that_the_first_one_gave() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, _ = await begin(kernel, core)
    first = asyncio.create_task(kernel.stop(drain_s=600))
    await asyncio.sleep(0)
    await within(kernel.stop())
    await within(first)
    assert [event.task for event in store.events if isinstance(event, TaskRequeued)] == [task]


async def test_two_stops_in_one_step_give_no_time() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await begin(kernel, core)
    subscription = kernel.subscribe()
    await within(asyncio.gather(kernel.stop(drain_s=600), kernel.stop()))
    states = [event.state for event in subscription.drain() if isinstance(event, KernelStateChanged)]
    assert states == [KernelState.STOPPED], "draining would have given running tasks time"


async def test_a_stop_whose_caller_goes_away_goes_on() -> None:
    core, store = CountingCore(), Trace()
    core.begins.set()
    core.look.set()
    kernel = make_kernel(core, store=store)
    await begin(kernel, core)
    first = asyncio.create_task(kernel.stop(drain_s=600))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    await within(kernel.stop())
    assert core.stops == 1
    assert kernel.state is KernelState.STOPPED


async def test_a_start_that_is_cancelled_while_it_looks_at_the_cores_stops_them() -> None:
    core = CountingCore()
    core.begins.set()
    kernel = make_kernel(core)
    starting = asyncio.create_task(kernel.start())
    await core.looked.wait()
    starting.cancel()
    await asyncio.wait({starting})
    assert core.stops == 1
    assert kernel.state is KernelState.STOPPED


async def test_one_core_that_can_not_be_stopped_keeps_no_other_running() -> None:
    bad, good = CountingCore(), CountingCore()
    for core in (bad, good):
        core.begins.set()
    bad.fails = OSError("stuck")
    kernel = make_kernel(bad, good)
    starting = asyncio.create_task(kernel.start())
    await bad.looked.wait()
    starting.cancel()
    await asyncio.wait({starting})
    assert (bad.stops, good.stops) == (1, 1)


async def test_a_stop_during_the_start_leaves_nothing_running() -> None:
    core = CountingCore()
    core.look.set()
    kernel = make_kernel(core)
    starting = asyncio.create_task(kernel.start())
    await core.starting.wait()
    stopping = asyncio.create_task(kernel.stop())
    await asyncio.sleep(0)
    core.begins.set()
    await within(stopping)
    with pytest.raises(KernelClosed):
        await within(starting)
    assert core.stops >= 1
    assert kernel.state is KernelState.STOPPED
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("follow", "inspect"))]


async def test_a_stop_does_not_wait_for_an_end_that_the_history_can_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.kernel.lifecycle.END_GRACE_S", 3_600.0)
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    store.free.clear()
    store.report("disk full")
    running.end()
    await until(lambda: kernel.slots["gate/0"].free, "the slot is free")
    await within(kernel.stop())
    store.free.set()
    with pytest.raises(KernelClosed):
        await kernel.wait(task)


async def test_a_stop_does_not_wait_for_an_agent_that_will_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.kernel.lifecycle.END_GRACE_S", 0.01)
    for_ever = asyncio.Event()

    async def deaf(ctx: AgentContext) -> str:
        while not for_ever.is_set():
            try:
                await for_ever.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store, agents=[CodeAgent("deaf", deaf)])
    await kernel.start()
    await kernel.submit(TaskSpec(prompt="p", agent="deaf"))
    await until(lambda: kernel.running_count, "the task runs")
    await within(kernel.stop())
    for_ever.set()
    assert kernel.state is KernelState.STOPPED
    assert not [event for event in store.events if isinstance(event, TaskRequeued | TaskEnded)]  # it counts as running


async def test_a_cancel_that_a_stop_comes_upon_is_carried_out() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store, config=KernelConfig(stop_grace_s=30))
    core.stubborn = True
    task, _ = await begin(kernel, core)
    cancelling = asyncio.create_task(kernel.cancel(task))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(kernel.stop())
    await asyncio.sleep(0)
    core.let_go.set()
    await within(stopping)
    assert await cancelling
    assert [event.state for event in store.events if isinstance(event, TaskEnded)] == [TaskState.CANCELLED]


async def test_stop_leaves_running_tasks_for_the_next_start() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    queued = await kernel.submit(TaskSpec(prompt="q"))
    waiting = [asyncio.create_task(kernel.wait(id_)) for id_ in (task, queued)]
    await asyncio.sleep(0)
    await within(kernel.stop())
    assert running.stopped
    assert [end.state for end in store.attempts()] == [AttemptState.INTERRUPTED]
    assert [event.task for event in store.events if isinstance(event, TaskRequeued)] == [task]
    assert store.of(TaskEnded) == []
    for waiter in waiting:
        with pytest.raises(KernelClosed, match="stays queued"):
            await waiter
    with pytest.raises(KernelClosed):
        await kernel.submit(TaskSpec(prompt="p"))
    await kernel.stop()


async def test_stop_can_give_running_tasks_time_to_end() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    stopping = asyncio.create_task(kernel.stop(drain_s=10))
    await asyncio.sleep(0)
    running.end()
    await within(stopping)
    assert [event.task for event in store.events if isinstance(event, TaskEnded)] == [task]


async def test_stop_waits_for_an_end_that_is_being_written() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    subscription = kernel.subscribe()
    task, running = await begin(kernel, core)
    store.free.clear()
    running.end()
    await seen(subscription, AttemptEnded)
    for _ in range(5):
        await asyncio.sleep(0)
    waiting = asyncio.create_task(kernel.wait(task))
    stopping = asyncio.create_task(kernel.stop())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not stopping.done()
    store.free.set()
    await within(stopping)
    assert (await within(waiting)).state is TaskState.DONE
    assert [event.task for event in store.events if isinstance(event, TaskEnded)] == [task]
    assert not [event for event in store.events if isinstance(event, TaskRequeued)]
