"""The Metrics screen: by its keys, as it follows what happens, and how it looks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from textual.app import App
from textual.pilot import Pilot

from aios_tui.config.settings import Settings
from aios_tui.console.app import ConsoleApp
from aios_tui.console.screens import metrics
from aios_tui.console.screens.help import HelpScreen
from aios_tui.console.screens.metrics import PARTS, MetricsScreen
from aios_tui.console.widgets.metric_plots import MetricPlot, segments, ticks
from aios_tui.reporting.history_metrics import measure
from aios_tui.runtime.runtime import Runtime
from engine.errors import StoreError
from engine.task import TaskSpec, TaskState
from persistence.activity import Activity
from tests.aios_tui.console import scene
from tests.aios_tui.console.fake_runtime import FakeHistory, FakeRuntime
from tests.aios_tui.console.generated_history import day
from tests.aios_tui.console.helpers import lines, text
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.scene import NOW
from tests.aios_tui.console.settling import settle, until
from tests.persistence.generated_activity import Made, MadeAttempt, MadeTask


class Compare(Protocol):
    def __call__(self, app: App[Any], **options: Any) -> bool: ...


def console(made: Made | None = None, theme: str = "aios-dark") -> tuple[ConsoleApp, FakeHistory]:
    runtime = FakeRuntime(scene.whole())
    history = FakeHistory()
    history.made = day() if made is None else made
    runtime.history = history
    return ConsoleApp(runtime, theme=theme, now=lambda: NOW, runs=MemoryRuns()), history


@asynccontextmanager
async def looking(
    made: Made | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[MetricsScreen, Pilot[int], ConsoleApp, FakeHistory]]:
    app, history = console(made)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(app, pilot)
        app.bridge.flush()
        await pilot.press("M")
        await settle(app, pilot)
        assert isinstance(app.screen, MetricsScreen)
        yield app.screen, pilot, app, history


def titles(screen: MetricsScreen) -> dict[str, str]:
    return {str(plot.id): str(plot.border_title) for plot in screen.query(MetricPlot)}


async def test_the_numbers_are_those_of_the_history() -> None:
    async with looking() as (screen, _, app, history):
        since, up_to, buckets = history.asked[-1]
        assert (since, up_to, buckets) == (NOW - 300, NOW, 60)
        expected = measure(await history.activity(since, up_to, buckets))
        assert screen.found == expected
        whole = expected.all
        assert f"{whole.done} done, {whole.failed} failed" in text(app)
        assert f"{(whole.totals['utilisation'] or 0) * 100:.0f} %" in titles(screen)["utilisation"]
        rows = [line for line in lines(app) if " 9 " in line]
        assert any(f"{expected.by_priority[9].ended} " in row for row in rows)


async def test_the_span_is_chosen_by_arrow() -> None:
    async with looking() as (screen, pilot, app, history):
        seen = []
        for key in ("right", "right", "right", "left", "left", "left"):
            await pilot.press(key)
            await settle(app, pilot)
            assert screen.found is not None
            seen.append(round(screen.found.until - screen.found.since))
        assert seen == [3600, 86400, 86400, 3600, 300, 300]
        assert [asked[2] for asked in history.asked[:3]] == [60, 60, 96]


async def test_one_priority_at_a_time() -> None:
    async with looking() as (screen, pilot, _, _):
        assert screen.found is not None
        whole, levels = titles(screen), list(screen.found.by_priority)
        seen = []
        for _ in range(len(levels)):
            await pilot.press("right_square_bracket")
            await pilot.pause()
            seen.append(titles(screen)["tokens"])
        wanted = [f"{screen.found.by_priority[level].totals['tokens_per_s']:,.1f}" for level in levels]
        assert [number in title for number, title in zip(wanted, seen, strict=True)] == [True] * len(levels)
        await pilot.press(*["left_square_bracket"] * 2)
        await pilot.pause()
        assert titles(screen)["tokens"] == seen[-3]
        await pilot.press(*["right_square_bracket"] * 3)
        await pilot.pause()
        assert titles(screen) == whole


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 10)])
async def test_parts_one_by_one_or_all_that_fit(size: tuple[int, int]) -> None:
    async with looking(size=size) as (screen, pilot, _, _):
        wide = size[0] >= 100
        for name in (*PARTS[1:], PARTS[0]):
            shown = [part.id for part in screen.query(".part") if part.display]
            assert len(shown) == (len(PARTS) if wide else 1)
            await pilot.press("tab")
            assert [part.id for part in screen.query(".part.-current")] == [name]
        await pilot.press("shift+tab")
        assert screen.query_one("#priorities").has_class("-current")
        await pilot.press("2")
        assert screen.query_one(f"#{PARTS[1]}").has_class("-current")
        await pilot.press("6", "z")
        await pilot.pause()
        assert [part.id for part in screen.query(".part") if part.display] == ["priorities"]


async def test_it_follows_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LEAST_S", 0.0)
    monkeypatch.setattr(metrics, "SPANS", (("5 min", 300.0, 60, 1e9),))
    async with looking(Made([])) as (screen, pilot, app, history):
        asked = len(history.asked)
        history.made = Made([MadeTask(NOW - 9, 5, (MadeAttempt(NOW - 9, NOW - 8, NOW - 2),), NOW - 2, started=NOW - 8)])
        runtime = app.runtime
        assert isinstance(runtime, FakeRuntime)
        runtime.fake.subscription.put(scene.ended(900, TaskState.DONE, 2, text="x"))
        await until(lambda: len(history.asked) > asked, pilot)
        await settle(app, pilot)
        assert screen.found is not None
        assert screen.found.all.done == 1


async def test_it_is_read_again_by_itself_and_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LEAST_S", 0.0)
    monkeypatch.setattr(metrics, "SPANS", (("5 min", 300.0, 60, 0.0),))
    async with looking(Made([])) as (_, pilot, app, history):
        asked = len(history.asked)
        await until(lambda: len(history.asked) > asked + 1, pilot)
        monkeypatch.setattr(metrics, "SPANS", (("5 min", 300.0, 60, 1e9),))
        await settle(app, pilot)
        asked = len(history.asked)
        await pilot.press("ctrl+r")
        await settle(app, pilot)
        assert len(history.asked) > asked


async def test_a_slow_history_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "COST", 1e9)  # the read took some milliseconds
    monkeypatch.setattr(metrics, "SPANS", (("5 min", 300.0, 60, 0.0),))
    async with looking(Made([])) as (screen, pilot, app, history):
        asked = len(history.asked)
        app.view.changes.results = True
        app.bridge.emit()
        screen._tick()
        await settle(app, pilot)
        assert len(history.asked) == asked


async def test_nothing_yet_and_nothing_then() -> None:
    async with looking(Made([], ())) as (screen, pilot, app, _):
        assert "no program ran in this time" in text(app)
        assert "the program ran for 0:00 of 5:00" in text(app)
        await pilot.press("right_square_bracket", "left_square_bracket", "tab", "z")
        await settle(app, pilot)
        assert "all priorities" in text(app)
    async with looking(Made([])) as (screen, _, _, _):
        assert "nothing started in this time" in titles(screen)["waiting"]
        assert "0.0" in titles(screen)["queue"]


async def test_a_history_that_cannot_be_read_is_a_line() -> None:
    class Broken(FakeHistory):
        async def activity(self, since: float, until: float, buckets: int = 60) -> Activity:
            raise StoreError("the history is [/gone]")

    app, _ = console()
    runtime = app.runtime
    assert isinstance(runtime, FakeRuntime)
    runtime.history = Broken()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(app, pilot)
        await pilot.press("M")
        await settle(app, pilot)
        assert "the history is [/gone]" in text(app)


async def test_help_theme_and_back() -> None:
    async with looking() as (screen, pilot, app, _):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "The next shorter time span." in text(app)
        for expected in (screen, app.main):
            await pilot.press("escape")
            await pilot.pause()
            assert app.screen_stack[-1] is expected


def test_a_gap_is_not_drawn_over() -> None:
    assert list(segments((None, 1.0, 2.0, None, None, 3.0))) == [(1, [1.0, 2.0]), (5, [3.0])]
    assert list(segments(())) == list(segments((None,))) == []


async def test_times_of_day_are_the_operators() -> None:
    found = measure(await FakeHistory().activity(NOW - 300, NOW, 60))
    assert ticks(found) == ([0.0, 30.0, 60.0], ["13:57:30", "14:00:00", "14:02:30"])
    found = measure(await FakeHistory().activity(NOW - 86400, NOW, 96))
    assert ticks(found)[1] == ["14:02", "02:02", "14:02"]


async def test_over_a_real_session(tmp_path: Path) -> None:
    settings = Settings(
        db=tmp_path / "h.db", core="scripted:ttft=0,tps=0,tokens=4", agents_folder=tmp_path, themes_folder=tmp_path
    )
    runtime = Runtime(settings)
    await runtime.open()
    app = ConsoleApp(runtime, runs=MemoryRuns())
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(lambda: app.live, pilot)
            await pilot.press("M")
            await settle(app, pilot)
            screen = app.screen
            assert isinstance(screen, MetricsScreen)
            ids = await runtime.kernel.submit_many([TaskSpec(prompt="x", priority=n) for n in (1, 1, 7)])
            for task in ids:
                await runtime.kernel.wait(task)
            await until(lambda: screen.found is not None and screen.found.all.done == 3, pilot)
            assert screen.found is not None
            assert list(screen.found.by_priority) == [1, 7]
            assert screen.found.slots == 1
    finally:
        await runtime.close()


def before(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def drawn(pilot: Pilot[Any]) -> None:
        await settle(pilot.app, pilot)
        await pilot.press("M")
        await settle(pilot.app, pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot.app, pilot)

    return drawn


@pytest.mark.parametrize(
    ("size", "theme", "keys"),
    [
        ((80, 24), "aios-dark", ("right",)),
        ((80, 24), "aios-light", ("right", "tab")),
        ((80, 24), "aios-dark", ("right", "right", "shift+tab")),
        ((120, 40), "aios-dark", ()),
        ((120, 40), "aios-light", ("right", "right")),
        ((120, 40), "aios-contrast", ("right", "right_square_bracket")),
        ((200, 60), "aios-dark", ("right", "right")),
        ((40, 10), "aios-dark", ()),
    ],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else value,
)
def test_how_it_looks(snap_compare: Compare, size: tuple[int, int], theme: str, keys: tuple[str, ...]) -> None:
    assert snap_compare(console(theme=theme)[0], terminal_size=size, run_before=before(*keys))


def test_how_an_empty_history_looks(snap_compare: Compare) -> None:
    assert snap_compare(console(Made([], ()))[0], terminal_size=(80, 24), run_before=before())
