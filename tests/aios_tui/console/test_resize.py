"""The console is calm whatever happens to its window."""

from __future__ import annotations

import pytest

from tests.aios_tui.console import scene
from tests.aios_tui.console.helpers import lines, opened, text


async def test_it_survives_any_row_of_sizes_and_draws_each_rightly() -> None:
    async with opened() as (app, pilot, _):
        for size in ((40, 10), (200, 60), (20, 5), (80, 24), (1, 1), (100, 15), (50, 40), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert app.main.selected == 14
        assert "3 Results" in text(app) and "1 Queue" in text(app)


async def test_at_40_by_10_one_pane_shows_at_a_time() -> None:
    async with opened(size=(40, 10)) as (app, pilot, _):
        assert "1 Queue" in text(app) and "Results" not in text(app)
        await pilot.press("3")
        await pilot.pause()
        assert "3 Results" in text(app) and "Queue" not in text(app)
        assert "qwen3" in text(app)
        await pilot.press("2")
        await pilot.pause()
        assert "story_teller" in text(app) and "determined," in text(app)
        await pilot.press("i")
        await pilot.pause()
        assert app.main.quick_line.display and app.main.quick_line.size.height >= 1
        await pilot.press("escape")
        assert app.main.pane == "activity"


@pytest.mark.parametrize("size", [(80, 24), (100, 18), (120, 40)])
async def test_three_panes_show_from_80_by_24(size: tuple[int, int]) -> None:
    async with opened(size=size) as (app, _, __):
        shown = text(app)
        assert all(title in shown for title in ("1 Queue", "2 Activity", "3 Results"))
        for words in ("NPPS · running", "12 queued", "1 running", "6 done", "1 failed"):
            assert words in lines(app)[0]


async def test_the_selected_row_stays_in_sight() -> None:
    async with opened([*scene.up(), *scene.queued(100)], size=(120, 50)) as (app, pilot, _):
        rows = app.main.queue_list
        await pilot.press("pagedown")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        await pilot.pause()
        assert rows.scroll_offset.y <= rows.cursor < rows.scroll_offset.y + rows.size.height
