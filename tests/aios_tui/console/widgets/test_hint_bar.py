"""The line of keys at the bottom: the last key stays however small, and it goes while a dialog lies over it."""

from __future__ import annotations

import pytest
from textual.screen import ModalScreen

from aios_tui.console.app import ConsoleApp
from tests.aios_tui.console import scene
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.helpers import lines
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.settling import settle

SCREENS = {"models": "m", "metrics": "M", "compare": "c", "workloads": "w"}


@pytest.mark.parametrize("size", [(40, 10), (80, 24)], ids=["40x10", "80x24"])
@pytest.mark.parametrize("name", SCREENS)
async def test_help_is_always_told_and_no_key_is_cut(name: str, size: tuple[int, int]) -> None:
    app = ConsoleApp(FakeRuntime(scene.whole()), runs=MemoryRuns())
    async with app.run_test(size=size) as pilot:
        await settle(app, pilot)
        await pilot.press(SCREENS[name])
        await settle(app, pilot)
        assert app.screen is not app.main
        assert lines(app)[-1].rstrip().endswith("? help")
        assert "…" not in lines(app)[-1]


@pytest.mark.parametrize("under", ["", "m", "M", "c"])
@pytest.mark.parametrize("key", ["question_mark", "t", "ctrl+p"])
async def test_keys_of_what_lies_under_a_dialog_are_not_shown(under: str, key: str) -> None:
    app = ConsoleApp(FakeRuntime(scene.whole()), runs=MemoryRuns())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        if under:
            await pilot.press(under)
            await settle(app, pilot)
        below = app.screen
        assert "? help" in lines(app)[-1]
        await pilot.press(key)
        await settle(app, pilot)
        assert isinstance(app.screen, ModalScreen)
        assert "? help" not in lines(app)[-1]
        await pilot.press("escape")
        await settle(app, pilot)
        assert app.screen is below
        assert "? help" in lines(app)[-1]
