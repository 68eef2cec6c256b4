"""The help screen: every action of the table, why some can't act, and where files are."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.containers import VerticalScroll

from aios_tui.config import paths
from aios_tui.config.settings import Settings
from aios_tui.console.actions import MAIN
from aios_tui.console.app import ConsoleApp
from aios_tui.console.screen_keys import SCREENS, Scope
from aios_tui.console.screens.help import HelpScreen
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.helpers import opened
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.screen_text import screen_text
from tests.aios_tui.console.settling import until


async def test_every_action_is_there_with_its_key() -> None:
    app = ConsoleApp(FakeRuntime(), runs=MemoryRuns())
    async with app.run_test(size=(120, 90)) as pilot:
        await pilot.pause()
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        lines = screen_text(app).splitlines()
        for action in MAIN:
            start = action.description.split(".")[0][:40]
            assert any(start in line and (action.shown_key or "ctrl+p") in line for line in lines), action.id
        assert any("Tasks" in line and "no task is selected here" in line for line in lines)


async def test_files_are_told_as_they_are() -> None:
    runtime = FakeRuntime()
    runtime.settings = Settings(db=Path("/tmp/[/foo]/\x1b]0;x\x07aios.db"))  # type: ignore[attr-defined]
    app = ConsoleApp(runtime, runs=MemoryRuns())
    async with app.run_test(size=(100, 90)) as pilot:
        await pilot.pause()
        app.push_screen(HelpScreen("main", "results"))
        await pilot.pause()
        text = screen_text(app)
        assert str(paths.log_file()) in text
        assert "/tmp/[/foo]/\ufffd]0;x\ufffdaios.db" in text
        assert "newest first" in text


@pytest.mark.parametrize("key", ["escape", "q", "question_mark"])
async def test_it_scrolls_and_closes(key: str) -> None:
    app = ConsoleApp(FakeRuntime(), runs=MemoryRuns())
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        await pilot.press("question_mark")
        await pilot.pause()
        box = app.screen.query_one(VerticalScroll)
        box.scroll_to(y=0, animate=False)
        app.animation_level = "none"
        await pilot.press("j", "j", "k")
        await pilot.pause()
        await until(lambda: box.scroll_y == 1, pilot)
        await pilot.press("G")
        await pilot.pause()
        assert box.scroll_y == box.max_scroll_y > 20
        await pilot.press("g")
        await pilot.pause()
        assert box.scroll_y == 0
        await pilot.press(key)
        await pilot.pause()
        assert app.screen is app.main


@pytest.mark.parametrize(
    ("keys", "scope"),
    [
        (["enter"], "task"),
        (["m"], "models"),
        (["w"], "workloads"),
        (["c"], "compare"),
        (["M"], "metrics"),
        (["a"], "agents"),
        (["t"], "themes"),
        (["q"], "quit"),
        (["n"], "form"),
        (["i"], "main"),
    ],
)
async def test_every_screen_shows_its_own_keys(keys: list[str], scope: Scope) -> None:
    async with opened(size=(120, 100)) as (app, pilot, _):
        await pilot.press(*keys)
        await pilot.pause()
        below = app.screen
        await pilot.press("f1" if scope in ("form", "main") else "question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen), pilot)
        await pilot.pause()
        shown = screen_text(app)
        for use in SCREENS[scope]:
            assert use.description[:40] in shown
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is below
