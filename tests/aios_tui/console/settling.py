"""Wait in tests of the console: for conditions, never for a fixed time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from tests.waiting import PATIENCE_S

OURS = ("history", "lines", "actions")


async def settle(app: App[Any], pilot: Pilot[Any]) -> None:
    """Wait until the history is read, long texts are laid out and actions are done; the app's own workers continue."""
    async with asyncio.timeout(PATIENCE_S):
        await pilot.pause()
        while any(worker.group in OURS and not worker.is_finished for worker in app.workers):
            await asyncio.sleep(0.01)
        await pilot.pause()


async def until(condition: Callable[[], object], pilot: Pilot[Any]) -> None:
    """Wait for a condition that the kernel, a file watcher or a worker brings about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)
            await pilot.pause()
