"""The queue pane shows what the kernel dispatches next, with affinity and loaded models taken into account."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from textual.app import App, ComposeResult

from aios_tui.console.state.bridge import Bridge
from aios_tui.console.state.ready_order import HEAD
from aios_tui.console.theming import variable_defaults
from aios_tui.console.widgets.queue import QueueList
from engine.events import CoreChanged, TaskAccepted
from engine.task import TaskSpec
from tests.aios_tui.console.fake_runtime import FakeKernel
from tests.aios_tui.console.state.test_bridge import following, turns
from tests.engine.kernel.helpers import GateCore, make_kernel

SPEC = TaskSpec(prompt="x")


class Pane(App[None]):
    def compose(self) -> ComposeResult:
        yield QueueList()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults()


@pytest.mark.parametrize("policy", ["fifo", "fifo:affinity=8", "fifo:affinity=2", "npps", "npps:affinity=8"])
async def test_the_pane_shows_the_order_in_which_tasks_really_start(policy: str) -> None:
    core = GateCore(models=("a", "b"))
    core.one_model, core.loaded = True, {"a"}
    kernel = make_kernel(core, policy=policy)
    bridge = Bridge(lambda _: None)
    await kernel.start()
    bridge.attach(kernel)
    stopping = AsyncExitStack()
    stopping.push_async_callback(kernel.stop)
    first = await kernel.submit(TaskSpec(prompt="first", model="a", priority=0))
    running = await core.next()
    mix: Sequence[tuple[str, int]] = [("b", 5), ("a", 5), ("b", 2), ("a", 5), ("b", 5), ("a", 2), ("a", 7), ("b", 0)]
    await kernel.submit_many([TaskSpec(prompt=f"{n}", model=model, priority=p) for n, (model, p) in enumerate(mix)])
    app = Pane()
    async with stopping, app.run_test() as pilot:
        pane = app.query_one(QueueList)
        shown: list[int] = []
        started = []
        for _ in mix:
            bridge.flush()
            pane.show(bridge.view)
            await pilot.pause()
            now = [pane.row_key(index) for index in range(pane.count())]
            assert not shown or now == shown[1:], "the next start is the first line, and nothing else moves"
            shown = now
            core.loaded = {running.attempt.model or "a"}
            running.end()
            running = await core.next()
            started.append(running.attempt.task)
            assert started[-1] == shown[0]
        running.end()
        await kernel.wait(started[-1])
    assert first not in started and len(set(started)) == len(mix)
    if policy == "fifo:affinity=8":
        assert [mix[task - first - 1][0] for task in started] == ["a"] * 4 + ["b"] * 4


async def test_the_scheduler_is_asked_when_its_answer_may_have_changed() -> None:
    kernel = FakeKernel()
    async with following(kernel) as (bridge, frames, _):
        kernel.subscription.put(*(TaskAccepted(1.0, n, SPEC) for n in (1, 2, 3)))
        kernel.next_up = [(3, 0), (1, 2), (1, 3)]
        await turns()
        assert list(bridge.view.order) == [3, 1, 2]
        kernel.next_up = [(2, 0)]
        bridge.tick()
        assert list(bridge.view.order) == [3, 1, 2], "a second that passes changes no order"
        frames.clear()
        bridge.feed([CoreChanged(2.0, await GateCore().inspect())])  # another model is in memory
        assert list(bridge.view.order) == [2, 1, 3]
        assert frames[0].queue


async def test_below_the_first_lines_the_order_is_the_policys() -> None:
    kernel = FakeKernel()
    async with following(kernel) as (bridge, _, __):
        kernel.subscription.put(*(TaskAccepted(1.0, n, SPEC) for n in range(1, 3 * HEAD)))
        kernel.next_up = [(n, 0) for n in range(2 * HEAD, 0, -1)]
        await turns()
        order = list(bridge.view.order)
        assert order[:HEAD] == list(range(2 * HEAD, HEAD, -1))
        assert order[HEAD:] == sorted(order[HEAD:])
