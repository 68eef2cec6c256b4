"""Snapshots of the models screen and the windows it opens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from aios_tui.console.app import ConsoleApp
from aios_tui.console.jobs.models import Job
from aios_tui.console.screens.delete_model import DeleteModelScreen
from aios_tui.console.screens.model_details import ModelScreen
from aios_tui.console.screens.models import ModelsScreen
from aios_tui.console.screens.pull_model import PullScreen
from engine.cores.model_management import PullProgress
from engine.cores.port import Core, CoreInfo, ModelInfo
from engine.events import CoreChanged
from tests.aios_tui.console import scene
from tests.aios_tui.console.fake_model_manager import BIG, INFO, FakeKeeper
from tests.aios_tui.console.fake_runtime import FakeKernel, FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.settling import settle

ATTIC = CoreInfo(
    "attic", False, None, (ModelInfo("gemma3:27b", 17_400_000_000),), where="http://attic:11434",
    detail="Ollama at attic:11434 cannot be reached (connection refused); start it, or check its address",
)  # fmt: skip


class Compare(Protocol):
    def __call__(self, app: App[Any], **options: Any) -> bool: ...


def console(theme: str = "aios-dark") -> ConsoleApp:
    runtime = FakeRuntime([*scene.up(), CoreChanged(scene.NOW, INFO), CoreChanged(scene.NOW, ATTIC)])
    cast(FakeKernel, runtime.kernel).cores = cast(Sequence[Core], (FakeKeeper(), FakeKeeper("attic")))
    return ConsoleApp(runtime, theme=theme, now=lambda: scene.NOW, runs=MemoryRuns())


async def _models(pilot: Pilot[Any]) -> ConsoleApp:
    """The screen, with a pull and a load that go on."""
    app = cast(ConsoleApp, pilot.app)
    await settle(app, pilot)
    app.model_jobs.running["ollama", "llama3.2:3b"] = Job(
        "ollama", "llama3.2:3b", "pull", PullProgress("pulling 6e9f90f02bb3", 870_000_000, 2_020_000_000), 31_400_000.0
    )
    app.model_jobs.running["ollama", "nomic-embed-text"] = Job("ollama", "nomic-embed-text", "load")
    await app.push_screen(ModelsScreen())
    await settle(app, pilot)
    return app


async def listed(pilot: Pilot[Any]) -> None:
    await _models(pilot)
    await pilot.press("j")
    await pilot.pause()


def over(make: Callable[[], Any]) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def before(pilot: Pilot[Any]) -> None:
        app = await _models(pilot)
        await app.push_screen(make())
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await settle(app, pilot)

    return before


@pytest.mark.parametrize(
    ("size", "theme"),
    [((80, 24), "aios-dark"), ((120, 40), "aios-light"), ((40, 10), "aios-dark")],
    ids=["80x24", "120x40", "40x10"],
)
def test_the_models(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    assert snap_compare(console(theme), terminal_size=size, run_before=listed)


OVER: dict[str, Callable[[], Any]] = {
    "pull": lambda: PullScreen(["ollama", "attic"], "qwen3:9b"),
    "delete": lambda: DeleteModelScreen("ollama", BIG),
    "details": lambda: ModelScreen("ollama", "qwen3:8b"),
}


@pytest.mark.parametrize("name", OVER)
def test_what_it_opens(snap_compare: Compare, name: str) -> None:
    assert snap_compare(console(), terminal_size=(80, 24), run_before=over(OVER[name]))
