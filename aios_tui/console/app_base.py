"""The console as screens, widgets, handlers and jobs use it; `app.ConsoleApp` implements it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual.signal import Signal

from aios_tui.console.action_context import ActionContext
from aios_tui.console.input.line_filter import PrintableOnly
from aios_tui.console.input.ordered_keys import OrderedKeys
from aios_tui.console.jobs.models import ModelJobs
from aios_tui.console.preferences import Preferences
from aios_tui.console.state.bridge import Bridge
from aios_tui.console.state.ports import ConsoleRuntime
from aios_tui.console.state.reducer import result_of
from aios_tui.console.state.view_state import MAX_RESULTS, Changes, Counts, ViewState
from aios_tui.console.textual_internals.exceptions import QuietExceptions
from aios_tui.console.theming import ThemeManager
from aios_tui.reporting.run_store import Runs
from engine.errors import AiosError
from engine.task import TaskSpec, TaskState

if TYPE_CHECKING:
    from aios_tui.console.jobs.replay import ReplayJob


class ConsoleBase(QuietExceptions, OrderedKeys):
    """The console without its screens and actions.

    Args:
        runtime: opened; the console starts it after its first paint, and `run_console` closes it.
        preferences: values remembered between runs; by default nothing is remembered.
        themes_folder: the user's themes.
        workloads_folder: the user's workload files, to which recordings are written.
        runs: the store of runs.
        theme: overrides the remembered theme.
        now: the time in Unix seconds, against which waiting times are drawn.
    """

    def __init__(
        self,
        runtime: ConsoleRuntime,
        *,
        preferences: Preferences | None = None,
        themes_folder: Path | None = None,
        workloads_folder: Path | None = None,
        runs: Runs,
        theme: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.preferences = preferences or Preferences()
        warn = partial(self.notify, severity="warning")
        self.themes = ThemeManager(self, folder=themes_folder, preferences=self.preferences, report=warn)
        self.workloads_folder = workloads_folder
        self.runs = runs
        self.model_jobs = ModelJobs(self)
        self.replaying: ReplayJob | None = None
        self.now = now
        self.started = asyncio.Event()
        self.leaving = False
        self.draining = False
        self.priority_policy = "npps"
        self.last_notice = ""
        self.bridge = Bridge(self._publish, now=now, on_lost=self._reload)
        self.frames: Signal[Changes] = Signal(self, "frames")
        self._wanted_theme = theme
        self._printable_only = PrintableOnly()

    @property
    def live(self) -> bool:
        """True while there is a kernel to act on."""
        return self.started.is_set()

    @property
    def view(self) -> ViewState:
        """The view state to draw."""
        return self.bridge.view

    def background(self, job: Callable[[], Awaitable[object]], *, group: str, exclusive: bool = False) -> None:
        """Run a coroutine function as a worker.

        Textual gets the function, not a coroutine, so that none is left unawaited when the app ends.
        """
        self.run_worker(cast(Any, job), group=group, exclusive=exclusive)

    def carry_out(self, operation: Callable[[], Awaitable[object]], group: str = "actions") -> None:
        """Run an operation in the background; an AiosError in it becomes a notice."""
        self.background(partial(self._report_errors, operation), group=group)

    def redraw_header(self) -> None:
        """Draw header, replay line and footer again, for a change outside the view state."""
        self.view.changes.header = True
        self.bridge.emit()

    async def stop_recording(self) -> Path | None:
        """Finish the recording and return its file. Raises UsageError, with the reason if it ended by itself."""
        try:
            return await self.runtime.stop_recording()
        finally:
            self.redraw_header()

    async def _report_errors(self, operation: Callable[[], Awaitable[object]]) -> None:
        try:
            await operation()
        except AiosError as error:
            self.notify(str(error), severity="error")

    async def load_results(self) -> None:
        """Fill the results from the history; after the start a second time, since tasks may have ended meanwhile."""
        try:
            records = await self.runtime.history.list(limit=MAX_RESULTS)
            counts = await self.runtime.history.counts()
        except AiosError as error:
            self.notify(str(error), severity="error")
            return
        self.bridge.flush()
        view = self.view
        view.set_results(result_of(record) for record in records if record.state.ended)
        view.counts = Counts(counts[TaskState.DONE], counts[TaskState.FAILED], counts[TaskState.CANCELLED])
        view.changes.header = True
        self.bridge.emit()

    def _reload(self) -> None:
        self.background(self.load_results, group="results", exclusive=True)

    def leave(self, code: int = 0) -> None:
        """Stop running tasks, which are queued again, and end the app. Further calls do nothing."""
        if not self.leaving:
            self.leaving = True
            self.redraw_header()
            self.notify("stopping …")
            self.background(partial(self._leave, code), group="leaving")

    async def _leave(self, code: int) -> None:
        try:
            await self.runtime.close(drain_s=0.0)
        finally:
            self.exit(code)

    def _publish(self, changes: Changes) -> None:
        for notice in changes.notices:
            self.notify(notice.text, severity="information" if notice.level == "info" else notice.level)
        self.frames.publish(changes)

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
