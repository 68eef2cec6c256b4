"""Themes in a running app: registered, chosen, remembered, reloaded live; a broken one is reported and does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from aios_tui.console.preferences import Preferences
from aios_tui.console.theming import ThemeManager, variable_defaults, variables_of
from tests.waiting import PATIENCE_S
from themes import DEFAULT_THEME, builtin_themes

GOOD = (Path(__file__).parents[3] / "themes" / "aios-midnight.toml").read_text("utf-8")
MINE = GOOD.replace('"aios-midnight"', '"mine"')
OLD, NEW = next(t.colours.background for t in builtin_themes() if t.name == "aios-midnight"), "#123456"


class Probe(App[None]):
    CSS = "Static { background: $background; color: $priority-0; border: round $frame; }"

    def __init__(
        self, folder: Path | None = None, memory: Preferences | None = None, preferred: str | None = None
    ) -> None:
        super().__init__()
        self.reported: list[str] = []
        self.themes = ThemeManager(
            self, folder=folder, preferences=memory or Preferences(), report=self.reported.append
        )
        self.preferred = preferred

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults()

    def compose(self) -> ComposeResult:
        yield Static("x")

    def on_mount(self) -> None:
        self.themes.apply(self.preferred)

    def shown(self) -> str:
        return self.query_one(Static).styles.background.hex.lower()


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition that some file watcher or timer brings about."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.02)


async def test_every_theme_is_drawn_with_its_own_colours() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        assert app.theme == DEFAULT_THEME
        for theme in builtin_themes():
            app.themes.preview(theme.name)
            await pilot.pause()
            static = app.query_one(Static)
            assert app.shown() == theme.colours.background
            assert static.styles.color.hex.lower() == theme.colours.priority[0]
            assert app.current_theme.dark == theme.dark
            assert app.theme_variables["muted"] == theme.colours.muted


async def test_styles_with_our_variables_bear_a_foreign_theme() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        app.theme = "nord"
        await pilot.pause()
        assert app.theme_variables["priority-0"] == variable_defaults()["priority-0"]


async def test_a_choice_is_remembered_and_a_preview_is_not(tmp_path: Path) -> None:
    path = tmp_path / "state" / "console.json"
    app = Probe(memory=Preferences(path))
    async with app.run_test():
        app.themes.save("aios-light")
        app.themes.preview("aios-contrast")
    again = Probe(memory=Preferences(path))
    async with again.run_test():
        assert again.theme == "aios-light"
    preferring = Probe(memory=Preferences(path), preferred="aios-midnight")
    async with preferring.run_test():
        assert preferring.theme == "aios-midnight"


@pytest.mark.parametrize("name", ["gone", "[/foo]", "\x1b]0;x\x07"])
async def test_an_unknown_theme_gives_the_default(name: str) -> None:
    app = Probe(preferred=name)
    async with app.run_test():
        app.themes.preview(name)
        assert app.theme == DEFAULT_THEME
        assert len(app.reported) == 1
        assert "unknown theme" in app.reported[0]
        assert app.reported[0].isprintable()


async def test_a_users_theme_lives_with_its_file(tmp_path: Path) -> None:
    app = Probe(tmp_path)
    async with app.run_test() as pilot:
        file = tmp_path / "mine.toml"
        file.write_text(MINE)
        app.themes.reload()
        app.themes.preview("mine")
        await pilot.pause()
        assert app.shown() == OLD

        file.write_text(MINE.replace(OLD, NEW))
        app.themes.reload()
        await pilot.pause()
        assert app.shown() == NEW

        file.write_text(MINE.replace(OLD, "blue"))
        app.themes.reload()
        app.themes.reload()
        await pilot.pause()
        assert app.shown() == NEW
        problem = "theme mine.toml: colours.background: 'blue' is not #rrggbb"
        assert app.reported == [f"{problem}; the last valid version stays in use"]

        file.unlink()
        app.themes.reload()
        await pilot.pause()
        assert app.theme == DEFAULT_THEME
        assert "mine" not in app.available_themes


async def test_a_users_theme_may_replace_a_built_in_one(tmp_path: Path) -> None:
    app = Probe(tmp_path, preferred="aios-midnight")
    async with app.run_test() as pilot:
        (tmp_path / "own.toml").write_text(GOOD.replace(OLD, NEW))
        app.themes.reload()
        await pilot.pause()
        assert app.shown() == NEW
        (tmp_path / "own.toml").unlink()
        app.themes.reload()
        await pilot.pause()
        assert (app.theme, app.shown()) == ("aios-midnight", OLD)


async def test_changes_are_taken_up_live(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "themes"
    app = Probe(folder)
    async with app.run_test():
        stop = asyncio.Event()
        watching = asyncio.create_task(app.themes.watch(stop))
        await until(folder.is_dir)
        (folder / "mine.toml").write_text(MINE)
        await until(lambda: "mine" in app.available_themes)
        app.themes.preview("mine")
        (folder / "mine.toml").write_text(MINE.replace(OLD, NEW))
        await until(lambda: app.shown() == NEW)
        (folder / "bad.toml").write_text("[/foo]")
        await until(lambda: bool(app.reported))
        assert app.reported[0].startswith("theme bad.toml: not valid TOML")
        assert app.theme == "mine"
        stop.set()
        await watching


async def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    app = Probe(tmp_path / "file" / "themes")
    async with app.run_test():
        await app.themes.watch()
        assert "not applied" in app.reported[-1]


def test_a_themes_own_variables_come_last() -> None:
    theme = builtin_themes()[0].model_copy(update={"variables": {"scrollbar": "#010203"}})
    assert variables_of(theme)["scrollbar"] == "#010203"
