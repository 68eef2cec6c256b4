"""The console over a real session: real kernel, real history, scripted core."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from textual.pilot import Pilot

from aios_tui.config.settings import Settings
from aios_tui.console.app import ConsoleApp, run_console
from aios_tui.console.state.ports import ConsoleRuntime
from aios_tui.runtime.runtime import Runtime
from engine.task import KernelState, TaskState
from tests.aios_tui.console.helpers import lines
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.waiting import within

QUICK = "scripted:ttft=0,tps=0,tokens=5"
SLOW = "scripted:ttft=0.01,tps=50,tokens=100000"


class RecordingApp(ConsoleApp):
    """Keeps every notice: on a busy machine the next one may replace it before the test looks."""

    CSS_PATH: ClassVar = [Path(inspect.getfile(ConsoleApp)).parent / path for path in ConsoleApp.CSS_PATH]

    def __init__(self, runtime: ConsoleRuntime) -> None:
        self.notices = [""]
        super().__init__(runtime, runs=MemoryRuns())

    @property
    def last_notice(self) -> str:
        return self.notices[-1]

    @last_notice.setter
    def last_notice(self, text: str) -> None:
        self.notices.append(text)

    def has_shown(self, text: str) -> bool:
        return any(text in notice for notice in self.notices)


@asynccontextmanager
async def real(folder: Path, core: str) -> AsyncIterator[tuple[RecordingApp, Pilot[int]]]:
    runtime = Runtime(
        Settings(db=folder / "history.db", core=core, agents_folder=folder, themes_folder=folder, policy="npps")
    )
    fits: ConsoleRuntime = runtime
    await runtime.open()
    app = RecordingApp(fits)
    try:
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until(pilot, lambda: app.live)
            yield app, pilot
    finally:
        await runtime.close()


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    async with within(inspect.getsource(condition).strip()):
        while not condition():
            await pilot.pause(0.02)


async def write(pilot: Pilot[int], line: str) -> None:
    await pilot.press("i")
    for character in line:
        await pilot.press("space" if character == " " else character)
    await pilot.press("enter")
    await pilot.press("escape")


async def test_a_task_from_the_quick_line_is_done_and_still_there_next_time(tmp_path: Path) -> None:
    async with real(tmp_path, QUICK) as (app, pilot):
        assert "scripted" in lines(app)[1]
        await write(pilot, "hello")
        await until(pilot, lambda: app.view.counts.done == 1)
        await until(pilot, lambda: app.main.result_list.count() == 1)
        first = app.view.results[0]
        await pilot.press("q")
        await until(pilot, lambda: app.return_value == 0)
    async with real(tmp_path, QUICK) as (app, pilot):
        await until(pilot, lambda: app.view.counts.done == 1)
        await until(pilot, lambda: app.main.result_list.count() == 1)  # `r` acts on what is drawn
        again = app.view.results[0]
        assert (again.id, again.result, again.state) == (first.id, first.result, TaskState.DONE)
        await pilot.press("3", "r")
        await until(pilot, lambda: app.view.counts.done == 2)
        assert [result.result for result in app.view.results] == [first.result] * 2


async def test_a_running_task_can_be_cancelled_and_the_queue_reordered(tmp_path: Path) -> None:
    async with real(tmp_path, SLOW) as (app, pilot):
        await write(pilot, "one")
        await until(pilot, lambda: app.view.running == 1)
        await write(pilot, "two")
        await write(pilot, "three")
        await until(pilot, lambda: len(app.view.order) == 2)
        await until(pilot, lambda: app.main.queue_list.count() == 2)
        await pilot.press("1", "G", "plus")
        assert list(app.view.order) == [3, 2]
        await pilot.press("s")
        assert list(app.view.order) == [2, 3] and app.view.policy == "fifo"
        await pilot.press("p")
        assert app.view.kernel is KernelState.PAUSED
        await pilot.press("2", "x")
        await until(pilot, lambda: app.view.counts.cancelled == 1)
        assert (app.view.running, app.view.queued) == (0, 2)


async def test_stopping_takes_a_running_task_back_and_the_next_start_says_so(tmp_path: Path) -> None:
    async with real(tmp_path, SLOW) as (app, pilot):
        await write(pilot, "long")
        await until(pilot, lambda: app.view.running == 1)
        await pilot.press("q")
        await until(pilot, lambda: type(app.screen).__name__ == "QuitScreen")
        await pilot.press("q")
        await until(pilot, lambda: app.return_value == 0)
    async with real(tmp_path, QUICK) as (app, pilot):
        await until(pilot, lambda: app.has_shown("1 task of an earlier run queued again"))
        await until(pilot, lambda: app.view.counts.done == 1)


async def test_a_drain_can_be_aborted_and_ends_by_itself(tmp_path: Path) -> None:
    async with real(tmp_path, SLOW) as (app, pilot):
        await write(pilot, "long")
        await until(pilot, lambda: app.view.running == 1)
        await pilot.press("q")
        await until(pilot, lambda: type(app.screen).__name__ == "QuitScreen")
        await pilot.press("D")
        await until(pilot, lambda: app.view.kernel is KernelState.DRAINING)
        await until(pilot, lambda: app.has_shown("1 task running; quits when done"))
        await pilot.press("escape")
        await until(pilot, lambda: app.view.kernel is KernelState.RUNNING)
        assert not app.leaving
        await pilot.press("q")
        await until(pilot, lambda: type(app.screen).__name__ == "QuitScreen")
        await pilot.press("D")
        await until(pilot, lambda: app.draining)
        await app.runtime.kernel.cancel(1)
        await until(pilot, lambda: app.return_value == 0)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signals here")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
async def test_a_signal_ends_the_console_in_order(tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    async with real(tmp_path, SLOW) as (app, pilot):
        await write(pilot, "long")
        await until(pilot, lambda: app.view.running == 1)
        os.kill(os.getpid(), number)
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 128 + number
    async with real(tmp_path, QUICK) as (app, pilot):
        await until(pilot, lambda: app.view.counts.done == 1)


async def test_run_console_closes_the_session_whatever_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = Runtime(Settings(db=tmp_path / "h.db", core=QUICK, agents_folder=tmp_path, themes_folder=tmp_path))
    await runtime.open()

    async def broken(_: ConsoleApp) -> int:
        await asyncio.sleep(0)
        raise RuntimeError("no terminal")

    monkeypatch.setattr(ConsoleApp, "run_async", broken)
    with pytest.raises(RuntimeError):
        await run_console(runtime, runs=MemoryRuns())
    second = Runtime(Settings(db=tmp_path / "h.db", core=QUICK, agents_folder=tmp_path, themes_folder=tmp_path))
    await second.open()  # the first has let go of the history
    await second.close()
