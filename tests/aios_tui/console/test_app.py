"""The console's lifecycle."""

from __future__ import annotations

import asyncio

from aios_tui.console.app import ConsoleApp
from engine.task import TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.settling import until


async def test_the_console_opens_and_q_leaves_it_with_the_session_closed() -> None:
    runtime = FakeRuntime()
    app = ConsoleApp(runtime, runs=MemoryRuns())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.live
        await pilot.press("q")
        await pilot.pause()
    assert app.return_value == 0
    assert runtime.closed == 1


async def test_a_task_can_be_written_while_the_core_starts() -> None:
    gate = asyncio.Event()
    runtime = FakeRuntime(gate=gate)
    app = ConsoleApp(runtime, runs=MemoryRuns())
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("i", *"quit, xylophone", "enter")
        assert not app.live
        assert "still starting" in app.last_notice
        assert runtime.fake.calls == []
        gate.set()
        await until(lambda: runtime.fake.calls, pilot)
    assert runtime.fake.calls == [("submit_many", [TaskSpec(prompt="quit, xylophone")])]
