"""The loop between kernel and panes: few frames, nothing lost, nothing out of order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aios_tui.console.state.bridge import SLICE, Bridge
from aios_tui.console.state.view_state import Changes
from engine.events import Event, TaskAccepted, TaskReprioritised
from engine.task import TaskSpec
from tests.aios_tui.console.fake_runtime import FakeKernel
from tests.waiting import PATIENCE_S

SPEC = TaskSpec(prompt="x")


@asynccontextmanager
async def following(kernel: FakeKernel) -> AsyncIterator[tuple[Bridge, list[Changes], list[str]]]:
    frames: list[Changes] = []
    lost: list[str] = []
    bridge = Bridge(frames.append, now=lambda: 5.0, on_lost=lambda: lost.append("lost"), frame_s=0)
    bridge.attach(kernel)
    runner = asyncio.create_task(bridge.run())
    try:
        yield bridge, frames, lost
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_burst_is_one_frame_and_silence_is_none() -> None:
    kernel = FakeKernel()
    async with following(kernel) as (bridge, frames, _):
        await turns()
        frames.clear()
        kernel.subscription.put(*(TaskAccepted(1.0, n, SPEC) for n in range(1, 10_001)))
        await turns()
        assert (bridge.view.queued, len(frames), bridge.view.now) == (10_000, 1, 5.0)
        await turns()
        assert len(frames) == 1


async def test_a_flush_between_two_slices_keeps_the_order() -> None:
    kernel = FakeKernel()
    async with following(kernel) as (bridge, _, __):
        await turns()
        burst: list[Event] = [TaskAccepted(1.0, n, SPEC) for n in range(1, 3 * SLICE)]
        kernel.subscription.put(*burst)
        while not bridge.view.queued:
            await asyncio.sleep(0)
        assert bridge.view.queued < len(burst)  # it is in the middle of it
        kernel.subscription.put(TaskReprioritised(2.0, len(burst), 0, 5))
        bridge.flush()
        assert bridge.view.tasks[len(burst)].priority == 0


async def test_after_a_loss_the_snapshot_counts_and_the_history_is_asked() -> None:
    kernel = FakeKernel()
    kernel.before = [TaskAccepted(1.0, 7, SPEC), TaskAccepted(1.0, 8, SPEC)]
    async with following(kernel) as (bridge, frames, lost):
        await turns()
        frames.clear()
        kernel.subscription.put(TaskReprioritised(2.0, 7, 1, 5))
        kernel.subscription.lost = True
        await turns()
        assert lost == ["lost"]
        assert (list(bridge.view.order), bridge.view.tasks[7].priority) == ([7, 8], 5)
        assert frames[0].everything


async def test_the_end_of_the_stream_ends_the_loop_with_all_folded() -> None:
    kernel = FakeKernel()
    bridge = Bridge(lambda _: None, now=lambda: 5.0)
    bridge.attach(kernel)
    kernel.subscription.put(TaskAccepted(1.0, 7, SPEC))
    kernel.subscription.close()
    await asyncio.wait_for(bridge.run(), PATIENCE_S)
    assert bridge.view.queued == 1
