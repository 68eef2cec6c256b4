"""Text from models, prompts and errors is shown as it is, and steers nothing."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from textual.color import Color

from aios_tui.console.input.line_filter import PrintableOnly
from engine import events as e
from engine.cores.port import CoreInfo, ModelInfo, SlotState
from engine.task import TaskSpec, TaskState
from tests.aios_tui.console import scene
from tests.aios_tui.console.helpers import lines, opened, text

EVIL = "[/foo] [bold]x[/] [@click=app.quit]y \x1b]52;c;aGk=\x07 \x1b[2J\x9b31m \u202eRTL \ud800"
SHOWN = "[/foo] [bold]x"


def evil() -> list[e.Event]:
    spec = TaskSpec(prompt=EVIL, agent="[/foo]", client="[/c]", model="[/m]")
    model = ModelInfo(EVIL, 1, True, 1, 1, detail=EVIL)
    failed = scene.ended(70, TaskState.FAILED, 5, text=EVIL, agent="[/foo]")
    return [
        *scene.up(),
        e.CoreChanged(scene.NOW, CoreInfo("ollama", True, EVIL, (model,), why=EVIL)),
        e.SlotChanged(scene.NOW, "ollama/1", "ollama", SlotState.DOWN, EVIL),
        failed,
        scene.ended(71, TaskState.DONE, 4, text=EVIL),
        e.TaskAccepted(scene.NOW, 72, spec),
        *scene.streaming(9, "ollama/0", text=EVIL),
        e.Notice(scene.NOW, "error", EVIL),
    ]


@pytest.mark.parametrize("size", [(160, 50), (80, 24), (40, 10)])
async def test_no_pane_lets_text_steer_the_terminal_or_be_markup(size: tuple[int, int]) -> None:
    async with opened(evil(), size=size) as (app, pilot, _):
        for key in ("1", "2", "3"):
            await pilot.press(key)
            await pilot.pause()
            shown = text(app)
            assert "[/foo]" in shown
            assert all(line.isprintable() for line in lines(app)), [
                line for line in lines(app) if not line.isprintable()
            ]
            styles = [segment.style for strip in app.screen._compositor.render_strips() for segment in strip]
            assert not any(style is not None and "@click" in style.meta for style in styles)


async def test_notices_filters_and_the_palette_take_any_text() -> None:
    async with opened(evil(), trouble=None) as (app, pilot, _):
        app.notify(EVIL, severity="error")
        await pilot.pause()
        assert SHOWN in lines(app)[-1]
        await pilot.press("slash", *"[/foo]", "enter")
        assert "/[/foo]" in text(app) and app.main.queue_list.count() == 1
        await pilot.press("question_mark")
        await pilot.pause()
        app.notify(EVIL, severity="warning")
        await pilot.pause(0.2)
        assert SHOWN in text(app)


async def test_the_palette_shows_a_reason_that_looks_like_markup() -> None:
    async with opened([], trouble=EVIL) as (app, pilot, _):
        await pilot.press("ctrl+p", *"pause")
        await pilot.pause(0.3)
        assert "[/foo]" in text(app)


def test_the_filter_is_the_last_word() -> None:
    segments = PrintableOnly().apply([Segment("a\x1b]52;c;x\x07b\u202e"), Segment("ok")], Color(0, 0, 0))
    assert [segment.text for segment in segments] == ["a\ufffd]52;c;x\ufffdb\ufffd", "ok"]
