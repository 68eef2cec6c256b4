"""The comparison screen by its keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.containers import ScrollableContainer
from textual.pilot import Pilot
from textual.widgets import Static

from aios_tui.config.settings import Settings
from aios_tui.console.app import ConsoleApp
from aios_tui.console.screens.compare import CompareScreen, RunList
from aios_tui.console.widgets.comparison_plots import Plot
from aios_tui.reporting.comparison import LETTERS, measured, suggested
from aios_tui.reporting.run_store import Runs, StoredRun, plain_name
from aios_tui.runtime.runtime import Runtime
from engine.errors import StoreError, UsageError
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.generated_runs import POLICIES, kept, made
from tests.aios_tui.console.helpers import opened, text
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.scene import NOW
from tests.aios_tui.console.settling import settle


@asynccontextmanager
async def comparing(
    runs: MemoryRuns, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[CompareScreen, Pilot[int], ConsoleApp]]:
    async with opened(size=size) as (app, pilot, _):
        app.runs = runs
        await pilot.press("c")
        await settle(app, pilot)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        yield screen, pilot, app


def policies(screen: CompareScreen) -> list[str]:
    return [run.kept.policy for run in screen.shown]


async def test_it_opens_with_the_newest_runs_of_one_workload() -> None:
    runs = await kept("npps:ageing=15", "fifo", workload="other.jsonl")
    await kept(runs=runs)
    async with comparing(runs) as (screen, _, app):
        assert policies(screen) == list(POLICIES)
        shown = text(app)
        for word in (
            "Compare",
            "evening",
            "1 Runs",
            "2 Table",
            "3 Plots",
            "waiting mean s",
        ):
            assert word in shown
        rows = str(screen.query_one("#figures", Static).content).splitlines()
        for word in ("priority 1", "priority 8", "client ada", "client [/foo]", "Jain index", "TTFT p99 s", "swaps"):
            assert any(row.strip().startswith(word) for row in rows), word


async def test_space_enter_and_a_click_mark_and_leave_out() -> None:
    async with comparing(await kept()) as (screen, pilot, app):
        await pilot.press("space")
        await settle(app, pilot)
        assert policies(screen) == ["npps", "npps:ageing=60"]
        await pilot.press("j", "enter")
        await settle(app, pilot)
        assert policies(screen) == ["npps:ageing=60"]
        assert "select two or more" in text(app)
        await pilot.press("k", "enter")
        await settle(app, pilot)
        assert policies(screen) == ["npps:ageing=60", "fifo"]
        await pilot.click(RunList, offset=(10, 2))
        await settle(app, pilot)
        assert policies(screen) == ["npps:ageing=60", "fifo", "npps"]


async def test_different_workloads_are_said_to_be_so() -> None:
    runs = await kept("fifo", workload="other.jsonl.gz")
    await kept("npps", runs=runs)
    async with comparing(runs) as (_, pilot, app):
        await pilot.press("j", "space")
        await settle(app, pilot)
        assert "evening, other" in text(app) and "different workloads" in text(app)


async def test_no_more_are_compared_than_there_are_letters() -> None:
    runs = MemoryRuns()
    run = made("fifo", count=20)
    for _ in range(len(LETTERS) + 1):
        await runs.keep("w", run, at=NOW)
    async with comparing(runs) as (screen, pilot, app):
        for _ in range(len(LETTERS)):
            await pilot.press("j", "space")
        await settle(app, pilot)
        assert len(screen.shown) == len(LETTERS)
        assert f"at most {len(LETTERS)} runs" in app.last_notice


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 10)])
async def test_parts_take_the_focus_by_number_and_by_tab(size: tuple[int, int]) -> None:
    async with comparing(await kept(), size) as (screen, pilot, app):
        seen = []
        for key in ("2", "3", "1", "tab", "tab", "tab", "shift+tab"):
            await pilot.press(key)
            await pilot.pause()
            assert app.screen.focused is screen.query_one(f"#{screen.part}")
            seen.append(screen.part)
        assert seen == ["table", "plots", "runs", "table", "plots", "runs", "plots"]
        assert [part.display for part in screen.query(".part")].count(True) == (3 if size == (120, 40) else 1)


async def test_the_table_scrolls_by_keys() -> None:
    async with comparing(await kept(), (40, 10)) as (screen, pilot, _):
        table = screen.query_one("#table", ScrollableContainer)
        await pilot.press("2")
        seen = []
        for key in ("j", "down", "k", "G", "g", "end", "home"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(table.scroll_target_y)
        last = table.max_scroll_y
        assert seen == [1, 2, 1, last, 0, last, 0]
        await pilot.press("right", "right", "left")
        assert table.scroll_target_x == 1
        await pilot.press("pagedown")
        assert table.scroll_target_y > 1
        await pilot.press("pageup")
        assert table.scroll_target_y == 0


async def test_d_twice_deletes() -> None:
    runs = await kept()
    async with comparing(runs) as (screen, pilot, app):
        await pilot.press("d")
        first, second, *_ = await runs.listed()
        assert app.last_notice == f"d again deletes run {first.id}, fifo virtual of evening for good"
        await pilot.press("j", "d")
        assert app.last_notice == f"d again deletes run {second.id}, npps virtual of evening for good"
        await pilot.press("d")
        await settle(app, pilot)
        assert app.last_notice == f"run {second.id}, npps virtual of evening is deleted"
        assert "d again" not in text(app)
        assert [run.policy for run in await runs.listed()] == ["fifo", "npps:ageing=60"]
        assert policies(screen) == ["fifo", "npps:ageing=60"]


async def test_without_runs_it_says_how_to_make_one() -> None:
    async with comparing(MemoryRuns()) as (_, pilot, app):
        assert "No saved runs" in text(app)
        await pilot.press("space", "d")
        assert "no run is selected" in app.last_notice
        await pilot.press("w")
        await pilot.pause()
        assert type(app.screen).__name__ == "WorkloadScreen"


async def test_a_run_that_cannot_be_read_is_left_out() -> None:
    class Damaged(MemoryRuns):
        async def load(self, id: int) -> object:  # type: ignore[override]
            if id == 2:
                raise UsageError("run 2 is damaged")
            return await super().load(id)

    runs = Damaged()
    await kept(runs=runs)
    async with comparing(runs) as (screen, _, app):
        assert policies(screen) == ["fifo", "npps:ageing=60"]
        assert app.last_notice == "run 2 is damaged"


async def test_a_history_that_cannot_be_read_is_a_line() -> None:
    class Broken(MemoryRuns):
        async def listed(self) -> list[StoredRun]:
            raise StoreError("the history is [/gone]")

    async with comparing(Broken()) as (_, _, app):
        assert "the history is [/gone]" in text(app)


async def test_plots_follow_the_theme_and_hostile_names_stay_text() -> None:
    runs = await kept(workload="[/foo] \x1b[2Jname")
    async with comparing(runs) as (screen, pilot, app):
        assert "[/foo]" in text(app) and "\x1b" not in text(app)
        plot = screen.query(Plot).first()
        before = plot.rgb(0)
        app.theme = "aios-light"
        await pilot.pause()
        assert plot.rgb(0) != before


def test_a_run_without_tasks_or_ends_is_measured_too() -> None:
    for count in (0, 1):
        run = made("fifo", count=count)
        found = measured(StoredRun(1, NOW, "w", "fifo", "virtual", count), run)
        assert found.metrics.n == count
        assert found.waiting[0] == (0.0, 0.0)


def test_what_is_suggested_is_of_one_workload_and_if_possible_one_kind() -> None:
    def run(id: int, policy: str, kind: str, workload: str = "a.jsonl") -> StoredRun:
        return StoredRun(id, NOW, workload, policy, kind, 5)

    virtual = [run(6, "npps", "virtual", "a"), run(5, "fifo", "virtual"), run(4, "npps", "virtual")]
    assert suggested([]) == []
    assert suggested(virtual) == [6, 5]
    assert suggested([run(9, "fifo", "live"), run(8, "fifo", "live", "b.jsonl"), *virtual]) == [9, 6, 5]
    assert suggested([run(9, "fifo", "live"), run(8, "npps", "live"), *virtual]) == [9, 8]
    assert len(suggested([run(n, f"npps:ageing={n}", "virtual") for n in range(9, 0, -1)])) == 4


def test_names_lose_their_suffix() -> None:
    names = [plain_name(name) for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.txt", "aios-five")]
    assert names == ["a", "a", "a", "a.txt", "aios-five"]


async def test_runs_are_kept_in_the_history_and_there_next_time(tmp_path: Path) -> None:
    settings = Settings(db=tmp_path / "h.db", core="scripted:", agents_folder=tmp_path, themes_folder=tmp_path)
    first = Runtime(settings)
    await first.open()
    try:
        run = made("npps", count=50)
        id_ = await Runs(first).keep("evening.jsonl", run, at=NOW, complete=False)
        other = await Runs(first).keep("evening.jsonl", made("fifo", count=50), at=NOW)
    finally:
        await first.close()
    second = Runtime(settings)
    await second.open()
    try:
        runs = Runs(second)
        listed = await runs.listed()
        assert [(each.id, each.policy, each.tasks, each.complete) for each in listed] == [
            (other, "fifo", 50, True),
            (id_, "npps", 50, False),
        ]
        again = await runs.load(id_)
        assert (list(again.order), list(again.start)) == (list(run.order), list(run.start))
        app = ConsoleApp(FakeRuntime(), runs=runs, now=lambda: NOW)
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press("c")
            await settle(app, pilot)
            assert isinstance(app.screen, CompareScreen)
            assert policies(app.screen) == ["fifo", "npps"]
            assert "stopped" in text(app)
        await runs.delete(id_)
        with pytest.raises(UsageError, match="there is no run"):
            await runs.load(id_)
    finally:
        await second.close()
