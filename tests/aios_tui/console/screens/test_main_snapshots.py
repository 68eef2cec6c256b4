"""The main screen, as it looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from aios_tui.console.app import ConsoleApp
from engine.telemetry import GpuProcess, GpuSample
from tests.aios_tui.console import fake_cluster, scene
from tests.aios_tui.console.fake_runtime import GIB, FakeRuntime, FakeTelemetry
from tests.aios_tui.console.memory_runs import MemoryRuns

Compare = Callable[..., bool]


def console(theme: str = "aios-dark", *, gpu: bool = False, **runtime: Any) -> ConsoleApp:
    fake = FakeRuntime(runtime.pop("events", scene.whole()), **runtime)
    if gpu:
        sample = GpuSample(
            0, "NVIDIA RTX 2000", 87.0, 6 * GIB, 8 * GIB, 61.0, 48.0, (GpuProcess(1, "ollama", 5 * GIB),)
        )
        fake.telemetry = FakeTelemetry((sample,))
    return ConsoleApp(fake, theme=theme, now=lambda: scene.NOW, runs=MemoryRuns())


def three_cores(theme: str = "aios-dark", *, cards: int = 1) -> ConsoleApp:
    app = console(theme, events=fake_cluster.whole())
    assert isinstance(app.runtime, FakeRuntime)
    app.runtime.telemetry = FakeTelemetry(fake_cluster.gpus(cards))
    return app


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until the events are folded and the machine was sampled."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    await pilot.pause()
    app.bridge.flush()
    while app.main.activity.sample is None or app.view.changes:
        await pilot.pause()
    await pilot.pause()


@pytest.mark.parametrize("theme", ["aios-dark", "aios-light"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_main_screen(snap_compare: Compare, theme: str, size: tuple[int, int]) -> None:
    assert snap_compare(console(theme), terminal_size=size, run_before=settled)


def test_a_gpu_and_a_selected_result(snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("3", "j", "j")

    assert snap_compare(console(gpu=True), terminal_size=(160, 50), run_before=before)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_three_cores_and_a_card(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(three_cores(), terminal_size=size, run_before=settled)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_activity_has_room_for_all_of_it_when_zoomed(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("2", "z")

    assert snap_compare(three_cores("aios-light", cards=2), terminal_size=size, run_before=before)


def test_a_very_small_screen(snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=(40, 10), run_before=settled)


def test_a_core_that_did_not_start(snap_compare: Compare) -> None:
    app = console(
        events=[], trouble="Ollama at http://127.0.0.1:11434 does not answer; start it, or use --core embedded"
    )
    assert snap_compare(app, terminal_size=(100, 24), run_before=settled)


def test_a_filter_being_typed_in_a_zoomed_pane(snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        pilot.app.screen.query_one("#pane-queue FilterInput").cursor_blink = False  # type: ignore[attr-defined]
        await pilot.press("z", "slash", *"goose")

    assert snap_compare(console(), terminal_size=(80, 24), run_before=before)
