"""Snapshots of the workload and comparison screens, the replay line and the recording mark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from aios_tui.console.app import ConsoleApp
from aios_tui.console.jobs.replay import ReplayJob
from aios_tui.console.screens.compare import CompareScreen
from aios_tui.console.screens.workloads import WorkloadScreen
from aios_tui.console.state.replay_view import ReplayView
from tests.aios_tui.console import scene
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.generated_runs import kept
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.screens.test_main_snapshots import settled
from tests.aios_tui.console.settling import settle

FOLDER = Path("/home/operator/workloads")


class Compare(Protocol):
    def __call__(self, app: App[Any], **options: Any) -> bool: ...


class Still(ReplayJob):
    """A replay that stands at one moment."""

    def __init__(self, view: ReplayView) -> None:
        self._still = view

    @property
    def view(self) -> ReplayView:
        return self._still


SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
THEMES = pytest.mark.parametrize("theme", ["aios-dark", "aios-light"])


def console(theme: str) -> ConsoleApp:
    return ConsoleApp(FakeRuntime(scene.whole()), theme=theme, now=lambda: scene.NOW, runs=MemoryRuns())


def drawn(name: str, *keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        await settle(app, pilot)
        if name == "workloads":
            await app.push_screen(WorkloadScreen(FOLDER))
        else:
            app.runs = await kept()
            await app.push_screen(CompareScreen())
        await settle(app, pilot)
        for key in keys:
            await pilot.press(key)
            await settle(app, pilot)

    return before


VIEWS: dict[str, tuple[str, ...]] = {
    "workloads": ("j",),
    "compare": (),
    "compare-table": ("2",),
    "compare-plots": ("3",),
}


@SIZES
@THEMES
@pytest.mark.parametrize("name", ["workloads", "compare"])
def test_screen(snap_compare: Compare, name: str, size: tuple[int, int], theme: str) -> None:
    assert snap_compare(console(theme), terminal_size=size, run_before=drawn(name, *VIEWS[name]))


@THEMES
@pytest.mark.parametrize("name", ["compare-table", "compare-plots"])
def test_one_part_at_a_time(snap_compare: Compare, name: str, theme: str) -> None:
    assert snap_compare(console(theme), terminal_size=(80, 24), run_before=drawn("compare", *VIEWS[name]))


@pytest.mark.parametrize("name", VIEWS)
def test_screen_in_the_smallest_terminal(snap_compare: Compare, name: str) -> None:
    before = drawn(name.partition("-")[0], *VIEWS[name])
    assert snap_compare(console("aios-dark"), terminal_size=(40, 10), run_before=before)


RUNNING = ReplayView("azure-1000", 1000, 212, 208, 3, 41.0, 82.0, 216.0, 2.0)
PAUSED = ReplayView("session-20260314-140230", 40, 12, 9, 0, 75.0, 75.0, 216.0, 1.0, paused=True)


@pytest.mark.parametrize(
    ("view", "size", "theme"),
    [
        (RUNNING, (80, 24), "aios-dark"),
        (RUNNING, (120, 40), "aios-light"),
        (PAUSED, (80, 24), "aios-light"),
        (PAUSED, (120, 40), "aios-dark"),
    ],
)
def test_a_replay_and_a_recording(
    snap_compare: Compare, view: ReplayView, size: tuple[int, int], theme: str, tmp_path: Path
) -> None:
    app = console(theme)
    runtime = app.runtime
    assert isinstance(runtime, FakeRuntime)
    runtime.recorded_to, runtime.recorded = tmp_path / "session-20260314-140230.jsonl", 12
    app.replaying = Still(view)

    async def before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        app.redraw_header()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


def test_a_replay_in_the_smallest_terminal(snap_compare: Compare, tmp_path: Path) -> None:
    app = console("aios-dark")
    runtime = app.runtime
    assert isinstance(runtime, FakeRuntime)
    runtime.recorded_to, runtime.recorded = tmp_path / "x.jsonl", 12
    app.replaying = Still(RUNNING)
    assert snap_compare(app, terminal_size=(40, 10), run_before=settled)


async def test_a_refused_file_is_drawn_as_text(tmp_path: Path) -> None:
    bad = tmp_path / "bad [foo].jsonl"
    bad.write_text('{"kind": "[/foo]\\u001b[2J"}')
    app = console("aios-dark")
    async with app.run_test(size=(120, 40)) as pilot:
        await app.push_screen(WorkloadScreen(tmp_path))
        await settle(app, pilot)
        await pilot.press("G")
        await settle(app, pilot)
        facts = str(app.screen.query_one("#facts", Static).content)
        assert "unknown kind" in facts and "[/foo]" in facts and "\x1b" not in facts
