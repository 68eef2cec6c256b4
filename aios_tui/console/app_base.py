"""The console as screens, widgets, handlers and jobs use it; `app.ConsoleApp` implements it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual.signal import Signal

from aios_tui.console.action_context import ActionContext
from aios_tui.console.input.ordered_keys import OrderedKeys
from aios_tui.console.jobs.models import ModelJobs
from aios_tui.console.preferences import Preferences
from aios_tui.console.state.bridge import Bridge
from aios_tui.console.state.ports import ConsoleRuntime
from aios_tui.console.state.view_state import Changes, ViewState
from aios_tui.console.textual_internals.exceptions import QuietExceptions
from aios_tui.console.theming import ThemeManager
from aios_tui.reporting.run_store import Runs
from engine.errors import AiosError
from engine.task import TaskSpec

if TYPE_CHECKING:
    from aios_tui.console.jobs.replay import ReplayJob


class ConsoleBase(QuietExceptions, OrderedKeys):
    """The console without its screens and actions."""

    runtime: ConsoleRuntime
    preferences: Preferences
    themes: ThemeManager
    workloads_folder: Path | None
    runs: Runs
    model_jobs: ModelJobs
    replaying: ReplayJob | None
    now: Callable[[], float]
    started: asyncio.Event
    leaving: bool
    draining: bool
    priority_policy: str
    bridge: Bridge
    frames: Signal[Changes]

    @property
    def live(self) -> bool:
        """True while there is a kernel to act on."""
        return self.started.is_set()

    @property
    def view(self) -> ViewState:
        """The view state to draw."""
        return self.bridge.view

    def background(self, job: Callable[[], Awaitable[None]], *, group: str, exclusive: bool = False) -> None:
        """Run a coroutine function as a worker.

        Textual gets the function, not a coroutine, so that none is left unawaited when the app ends.
        """
        self.run_worker(cast(Any, job), group=group, exclusive=exclusive)

    def carry_out(self, operation: Callable[[], Awaitable[None]], group: str = "actions") -> None:
        """Run an operation in the background; an AiosError in it becomes a notice."""
        self.background(partial(self._report_errors, operation), group=group)

    def redraw_header(self) -> None:
        """Draw header, replay line and footer again, for a change outside the view state."""
        self.view.changes.header = True
        self.bridge.emit()

    async def _report_errors(self, operation: Callable[[], Awaitable[None]]) -> None:
        try:
            await operation()
        except AiosError as error:
            self.notify(str(error), severity="error")

    def act(self, action: str, task: int | None = None) -> bool:
        """Run an action as its key would."""
        raise NotImplementedError

    def action_context(self, task: int | None = None) -> ActionContext:
        """The state that decides which actions are available."""
        raise NotImplementedError

    def submit(self, specs: list[TaskSpec]) -> None:
        """Submit tasks in the background and show their ids in a notice."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the core, in the background."""
        raise NotImplementedError

    def leave(self, code: int = 0) -> None:
        """Stop running tasks, which are queued again, and end the app."""
        raise NotImplementedError
