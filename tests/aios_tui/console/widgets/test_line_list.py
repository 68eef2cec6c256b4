"""Lists draw only what is seen, and draw again only what changed."""

from __future__ import annotations

import pytest

from aios_tui.console.widgets.cells import cell_len
from aios_tui.console.widgets.columns import GAP, Column, place
from aios_tui.console.widgets.queue import QueueList
from aios_tui.console.widgets.results import ResultList
from engine.events import AttemptProgress, TaskAccepted, TaskReprioritised
from engine.task import TaskSpec
from tests.aios_tui.console import scene
from tests.aios_tui.console.helpers import lines, opened


@pytest.mark.parametrize("columns", [QueueList.COLUMNS, ResultList.COLUMNS])
@pytest.mark.parametrize("width", [*range(12, 64), 80, 120, 300])
def test_columns_fill_their_width_exactly(columns: tuple[Column, ...], width: int) -> None:
    placed = place(columns, width)
    used = sum(item.width for item in placed) + GAP * (len(placed) - 1)
    assert used == width or all(not item.column.drops for item in placed)
    assert placed[-1].column is columns[-1]


def test_columns_go_in_the_stated_order() -> None:
    gone = []
    for width in range(100, 20, -1):
        shown = {item.column.id for item in place(QueueList.COLUMNS, width)}
        gone += [column.id for column in QueueList.COLUMNS if column.id not in shown and column.id not in gone]
    assert gone == ["client", "id", "rounds", "waited", "agent"]


@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 10)])
async def test_titles_stand_over_their_columns(count: int, size: tuple[int, int]) -> None:
    async with opened([*scene.up(), *scene.queued(count)], size=size) as (app, _, __):
        shown = lines(app)
        titles = next(line for line in shown if "prompt" in line)
        row = next(line for line in shown if "My printer" in line)
        assert titles.index("prompt") == row.index("My printer")
        assert titles.index("agent") == row.index("tech_")


async def test_every_line_of_every_pane_has_the_screens_width() -> None:
    for size in ((160, 50), (120, 40), (80, 24), (50, 15), (40, 10)):
        async with opened(size=size) as (app, _, __):
            assert {cell_len(line) for line in lines(app)} == {size[0]}


async def test_one_change_among_ten_thousand_draws_one_row() -> None:
    events = [*scene.up(), *(TaskAccepted(scene.NOW - 60, n, TaskSpec(prompt=f"p{n}")) for n in range(1, 10_001))]
    async with opened(events) as (app, pilot, runtime):
        rows, drawn = app.main.queue_list, []
        original = rows.draw

        def draw(index: int, width: int) -> object:
            drawn.append(index)
            return original(index, width)

        rows.draw = draw  # type: ignore[method-assign,assignment]
        refreshed: list[int] = []
        rows.refresh_line = refreshed.append  # type: ignore[method-assign,assignment]
        runtime.fake.subscription.put(TaskReprioritised(scene.NOW, 9_000, 9, 5))
        app.bridge.flush()
        await pilot.pause()
        assert refreshed == [] and len(drawn) <= rows.size.height
        runtime.fake.subscription.put(TaskReprioritised(scene.NOW, 18, 6, 5))
        app.bridge.flush()
        await pilot.pause()
        assert refreshed == [17] and max(drawn) < rows.size.height


async def test_nothing_is_drawn_when_nothing_happens_and_only_a_slot_when_tokens_come() -> None:
    async with opened() as (app, pilot, runtime):
        refreshed = []
        for widget in (app.main.header, app.main.queue_list, app.main.activity, app.main.result_list, app.main.footer):
            original = widget.refresh

            def refresh(*regions: object, _of: object = widget, _go: object = original, **more: object) -> object:
                refreshed.append((type(_of).__name__, regions))
                return _go(*regions, **more)  # type: ignore[operator]

            widget.refresh = refresh  # type: ignore[method-assign,assignment]
        app.bridge.tick()
        await pilot.pause()
        assert refreshed == []  # the clock of this test stands still
        runtime.fake.subscription.put(AttemptProgress(scene.NOW, 9, 2, 1, "ollama/0", "text", "and then", 1))
        app.bridge.flush()
        await pilot.pause()
        assert {name for name, _ in refreshed} == {"ActivityView"}
        assert 1 <= len(refreshed) <= 3
