"""The theme picker by its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.screen import Screen
from textual.widgets import OptionList

import themes
from aios_tui.console.app import ConsoleApp
from aios_tui.console.preferences import Preferences
from aios_tui.console.screens.themes import ThemeScreen
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns
from themes import builtin_themes

NAMES = [theme.name for theme in builtin_themes()]


async def test_moving_shows_a_theme_and_escape_takes_it_back() -> None:
    app = ConsoleApp(FakeRuntime(), theme="aios-light", runs=MemoryRuns())
    async with app.run_test() as pilot:
        await pilot.press("t")
        await pilot.pause()
        screen: Screen[Any] = app.screen
        assert isinstance(screen, ThemeScreen)
        assert screen.query_one(OptionList).highlighted == NAMES.index("aios-light")
        seen = []
        for key in ("g", "j", "down", "k", "up", "G"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(NAMES.index(app.theme))
        assert seen == [0, 1, 2, 1, 0, len(NAMES) - 1]
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main
        assert app.theme == "aios-light"
        assert app.preferences.values.theme is None


async def test_enter_keeps() -> None:
    memory = Preferences()
    app = ConsoleApp(FakeRuntime(), preferences=memory, runs=MemoryRuns())
    async with app.run_test() as pilot:
        await pilot.press("t")
        await pilot.pause()
        await pilot.press("G", "enter")
        await pilot.pause()
        assert app.screen is app.main
        assert app.theme == memory.values.theme == NAMES[-1]


async def test_the_users_themes_are_there(tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "themes" / "aios-dark.toml").read_text("utf-8")
    text = text.replace('"aios-dark"', '"mine"').replace("Slate and cyan", "[/foo] [@click=app.quit]x[/]")
    (tmp_path / "mine.toml").write_text(text)
    app = ConsoleApp(FakeRuntime(), themes_folder=tmp_path, runs=MemoryRuns())
    async with app.run_test() as pilot:
        await pilot.press("t")
        await pilot.pause()
        options = app.screen.query_one(OptionList)
        assert "[/foo] [@click=app.quit]x[/]" in str(options.get_option("mine").prompt)
        await pilot.press("G", "enter")
        await pilot.pause()
        assert app.theme == "mine"


async def test_the_theme_in_use_may_disappear_while_the_picker_is_open(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = (Path(themes.__file__).parent / "aios-light.toml").read_text(encoding="utf-8")
    file.write_text(text.replace('"aios-light"', '"mine"'), encoding="utf-8")
    app = ConsoleApp(FakeRuntime(), themes_folder=tmp_path, theme="mine", runs=MemoryRuns())
    async with app.run_test() as pilot:
        assert app.theme == "mine"
        await pilot.press("t")
        await pilot.pause()
        file.unlink()
        app.themes.reload()
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main
        assert app.theme == NAMES[0]


async def test_it_opens_in_the_narrowest_terminal() -> None:
    app = ConsoleApp(FakeRuntime(), runs=MemoryRuns())
    async with app.run_test(size=(20, 5)) as pilot:
        await pilot.press("t")
        await pilot.pause()
        assert isinstance(app.screen, ThemeScreen)
