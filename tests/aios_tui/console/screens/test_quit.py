"""The question that leaving asks while tasks run."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from aios_tui.console.app import ConsoleApp
from aios_tui.console.screens.quit import Choice, QuitScreen
from engine.events import TaskAccepted, TaskStarted
from engine.task import TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.helpers import opened
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.settling import until


@pytest.mark.parametrize(
    ("keys", "choice"),
    [
        (["D"], "drain"),
        (["q"], "stop"),
        (["escape"], None),
        (["enter"], "drain"),
        (["j", "enter"], "stop"),
        (["down", "down", "enter"], None),
        (["j", "k", "enter"], "drain"),
    ],
)
async def test_every_key_answers(keys: list[str], choice: Choice | None) -> None:
    app = ConsoleApp(FakeRuntime(), runs=MemoryRuns())
    answers: list[Choice | None] = []
    async with app.run_test() as pilot:
        await pilot.pause()
        app.push_screen(QuitScreen(), answers.append)
        await pilot.pause()
        await pilot.press(*keys)
        await until(lambda: app.screen is app.main, pilot)
    assert answers == [choice]


async def test_it_is_asked_while_a_task_runs_and_says_how_many() -> None:
    spec = TaskSpec(prompt="x")
    runtime = FakeRuntime([TaskAccepted(0.0, 1, spec), TaskAccepted(0.0, 2, spec), TaskStarted(1.0, 1, 1, 1)])
    app = ConsoleApp(runtime, runs=MemoryRuns())
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        await pilot.press("q")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, QuitScreen)
        counts = screen.query_one("#question", Static)
        assert str(counts.render()) == "1 task running, 1 queued"
        app.bridge.feed([TaskStarted(2.0, 2, 2, 1)])
        await pilot.pause()
        assert str(counts.render()) == "2 tasks running, 0 queued"
        assert all(option.region.bottom <= 10 for option in screen.query("#choices"))
        await pilot.press("q")
        await pilot.pause()
    assert app.return_value == 0
    assert runtime.closed >= 1


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_pressed_a_second_time_it_stops_now(key: str) -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, QuitScreen)
        await pilot.press(key)
        await pilot.pause()
    assert app.return_value == 0
    assert runtime.closed >= 1
