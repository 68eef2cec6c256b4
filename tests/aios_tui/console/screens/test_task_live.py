"""From the quick line and the form to the task screen, over a real kernel, core and history."""

from __future__ import annotations

from pathlib import Path

import pytest

from aios_tui.config.settings import Settings
from aios_tui.console.app import ConsoleApp
from aios_tui.console.screens.task import TaskScreen
from aios_tui.console.widgets.round_view import RoundView
from aios_tui.console.widgets.text_lines import TextLines
from aios_tui.runtime.runtime import Runtime
from engine.task import TaskState
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.screen_text import screen_text
from tests.aios_tui.console.settling import settle, until


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        db=tmp_path / "history.sqlite3",
        core="scripted:seed=1,ttft=0.01,tps=400,tokens=30",
        agents_folder=tmp_path / "agents",
        themes_folder=tmp_path / "themes",
    )


async def test_a_task_from_the_quick_line_is_watched_to_its_end_and_found_again(settings: Settings) -> None:
    runtime = Runtime(settings)
    await runtime.open()
    app = ConsoleApp(runtime, runs=MemoryRuns())
    async with app.run_test(size=(120, 60)) as pilot:
        await until(lambda: app.live, pilot)
        await pilot.press("i", *"@story_t", "tab", *"!2 Geese", "enter")
        await until(lambda: app.view.tasks or app.view.results, pilot)
        task = next(iter(app.view.tasks), None) or app.view.results[0].id
        screen = TaskScreen(task)
        await app.push_screen(screen)
        await until(lambda: app.view.result(task), pilot)
        await until(lambda: len(screen.query(RoundView)) == 3, pilot)
        await settle(app, pilot)
        page = screen.page
        assert page is not None
        assert (page.state, page.agent, page.priority, page.rounds_done) == (TaskState.DONE, "story_teller", 2, 3)
        assert page.turnaround_s is not None
        assert page.tokens_out >= 3
        replies = [view.query_one(".reply", TextLines).text for view in screen.query(RoundView)]
        assert replies[-1] == (page.result or "").strip()
        assert "Round 3 of 3" in screen_text(app)
        await pilot.press("y")
        assert app.clipboard == page.result
        await pilot.press("r")
        await until(lambda: app.view.results[0].id != task, pilot)
        await pilot.press("left_square_bracket")
        await settle(app, pilot)
        await until(lambda: "retry of #" in screen_text(app), pilot)

    again = Runtime(settings)
    await runtime.close()
    await again.open()
    app = ConsoleApp(again, runs=MemoryRuns())
    async with app.run_test(size=(120, 60)) as pilot:
        await until(lambda: app.live and len(app.view.results) == 2, pilot)
        screen = TaskScreen(task)
        await app.push_screen(screen)
        await until(lambda: len(screen.query(RoundView)) == 3, pilot)
    await again.close()


async def test_a_stream_is_seen_while_it_runs_and_cancelled(settings: Settings) -> None:
    slow = settings.model_copy(update={"core": "scripted:seed=1,ttft=0.01,tps=40,tokens=4000"})
    runtime = Runtime(slow)
    await runtime.open()
    app = ConsoleApp(runtime, runs=MemoryRuns())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.live, pilot)
        await pilot.press("i", *"Geese", "enter")
        await until(lambda: app.view.tasks, pilot)
        task = next(iter(app.view.tasks))
        screen = TaskScreen(task)
        await app.push_screen(screen)
        await until(lambda: len(screen.query_one("#live-text", TextLines).text.split()) > 5, pilot)
        seen = screen.query_one("#live-text", TextLines).text
        assert app.view.tasks[task].state is TaskState.RUNNING
        await pilot.press("x")
        await until(lambda: app.view.result(task), pilot)
        await until(lambda: "⊘ cancelled" in screen_text(app), pilot)
        await until(lambda: screen.query(".reply"), pilot)
        assert screen.query_one(".reply", TextLines).text.startswith(seen[:20].strip())
    await runtime.close()
