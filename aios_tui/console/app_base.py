"""What screens, widgets, operations and jobs may ask of the console; `app.ConsoleApp` is the one that is run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from textual.signal import Signal

from aios_tui.console.actions import ActionContext
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

Severity = Literal["information", "warning", "error"]


class ConsoleBase(QuietExceptions, OrderedKeys):
    """The console without its screens and actions: the surface that they are written against."""

    runtime: ConsoleRuntime
    memory: Preferences
    theming: ThemeManager
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
        """Whether there is a kernel to act on."""
        return self.started.is_set()

    @property
    def view(self) -> ViewState:
        """What to draw."""
        return self.bridge.view

    def background(self, job: Callable[[], Awaitable[None]], *, group: str, exclusive: bool = False) -> None:
        """Run a coroutine function as a worker. Given the function, Textual leaves no coroutine behind at the end."""
        self.run_worker(cast(Any, job), group=group, exclusive=exclusive)

    def carry_out(self, operation: Callable[[], Awaitable[None]], group: str = "actions") -> None:
        """Run this in the background; an AiosError in it is said."""
        self.background(partial(self._finish, operation), group=group)

    def redraw_header(self) -> None:
        """What the header, the replay line and the footer say besides the view state has changed."""
        self.view.changes.header = True
        self.bridge.emit()

    async def _finish(self, operation: Callable[[], Awaitable[None]]) -> None:
        try:
            await operation()
        except AiosError as error:
            self.tell(str(error), "error")

    def tell(self, text: str, severity: Severity = "information") -> None:
        """Say one line to the operator."""
        raise NotImplementedError

    def act(self, action: str, task: int | None = None) -> bool:
        """Run an action as its key would."""
        raise NotImplementedError

    def situation(self, task: int | None = None) -> ActionContext:
        """Where the operator is."""
        raise NotImplementedError

    def submit(self, specs: list[TaskSpec]) -> None:
        """Submit tasks in the background and say their ids."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the core, in the background."""
        raise NotImplementedError

    def leave(self, code: int = 0) -> None:
        """Stop running tasks, which are queued again, and end the app."""
        raise NotImplementedError
