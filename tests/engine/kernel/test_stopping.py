"""Starts and stops that something comes between, and stops that somebody still waits behind."""

from __future__ import annotations

import asyncio

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import CoreInfo
from engine.errors import KernelClosed
from engine.events import TaskAccepted, TaskEnded, TaskRequeued
from engine.kernel import KernelConfig
from engine.task import KernelState, TaskSpec, TaskState
from tests.engine.kernel.helpers import CodeAgent, GateCore, make_kernel
from tests.engine.kernel.test_ends import Trace, begin


class CountingCore(GateCore):
    """Counts its stops; `look` is what it waits for before it tells how it is, `begins` before it has started."""

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
    async with asyncio.timeout(10):
        for task in (running, queued):
            with pytest.raises(KernelClosed, match="stays queued"):
                await kernel.wait(task)


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
    async with asyncio.timeout(10):
        with pytest.raises(KernelClosed, match="stays queued"):
            await kernel.wait(task)
    assert core.begun.empty()


async def test_what_a_stop_left_queued_can_not_be_changed_any_more() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    running, _ = await begin(kernel, core)
    queued = await kernel.submit(TaskSpec(prompt="q"))
    await kernel.stop()
    told = len(store.events)
    for task in (running, queued):
        assert not await kernel.cancel(task)
        assert not kernel.reprioritise(task, 0)
    kernel.resume()
    await kernel.drain()
    assert kernel.state is KernelState.STOPPED
    assert len(store.events) == told


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
    await asyncio.wait_for(second, 10)
    assert [event.task for event in store.events if isinstance(event, TaskRequeued)] == [task]
    await first


async def test_a_second_stop_ends_the_time_that_the_first_one_gave() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, _ = await begin(kernel, core)
    first = asyncio.create_task(kernel.stop(drain_s=600))
    await asyncio.sleep(0)
    await asyncio.wait_for(kernel.stop(), 10)
    await asyncio.wait_for(first, 10)
    assert [event.task for event in store.events if isinstance(event, TaskRequeued)] == [task]


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
    await asyncio.wait_for(kernel.stop(), 10)
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
    await asyncio.wait_for(stopping, 10)
    with pytest.raises(KernelClosed):
        await asyncio.wait_for(starting, 10)
    assert core.stops >= 1
    assert kernel.state is KernelState.STOPPED
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("watch")]


async def test_a_stop_does_not_wait_for_an_end_that_the_history_can_not_take() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    store.free.clear()
    store.told("disk full")
    running.end()
    while not kernel.slots["gate/0"].free:
        await asyncio.sleep(0)
    await asyncio.wait_for(kernel.stop(), 10)
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
    while kernel.running_count == 0:
        await asyncio.sleep(0)
    await asyncio.wait_for(kernel.stop(), 10)
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
    await asyncio.wait_for(stopping, 10)
    assert await cancelling
    assert [event.state for event in store.events if isinstance(event, TaskEnded)] == [TaskState.CANCELLED]
