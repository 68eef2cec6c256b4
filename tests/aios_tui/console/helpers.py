"""Opens the console over a scene, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from aios_tui.console.app import ConsoleApp
from engine.events import Event
from tests.aios_tui.console import scene
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns


def app_over(events: Sequence[Event] | None = None, **runtime: Any) -> ConsoleApp:
    """A console whose clock stands at the scene's moment."""
    fake = FakeRuntime(scene.whole() if events is None else events, **runtime)
    return ConsoleApp(fake, now=lambda: scene.NOW, runs=MemoryRuns())


@asynccontextmanager
async def opened(
    events: Sequence[Event] | None = None, *, size: tuple[int, int] = (120, 40), **runtime: Any
) -> AsyncIterator[tuple[ConsoleApp, Pilot[int], FakeRuntime]]:
    """The console, open and drawn."""
    app = app_over(events, **runtime)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        app.bridge.flush()
        await pilot.pause()
        session_ = app.runtime
        assert isinstance(session_, FakeRuntime)
        yield app, pilot, session_


def lines(app: ConsoleApp) -> list[str]:
    """Return the screen's text as plain lines."""
    width, height = app.size
    compositor = app.screen._compositor
    strips = compositor.render_strips()
    return ["".join(segment.text for segment in strip)[:width] for strip in strips[:height]]


def text(app: ConsoleApp) -> str:
    """Return the screen's text in one piece."""
    return "\n".join(lines(app))
