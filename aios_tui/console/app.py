"""The console: composition, key dispatch and lifecycle. What it shows is in `bridge`, what it does in `operations`.

For screens and widgets, `self.app` is the `ConsoleApp` (`aios_tui.console.app.console(self)` gives it typed):

- `app.runtime`: history, agents, telemetry; `app.runtime.kernel` only while `app.live` is true.
- `app.view`: the view state to draw from. Don't keep it, it may be replaced; don't change it.
- `app.frames`: a Signal published after the view state changed, at most ten times a second, with the `Changes`.
  `app.frames.subscribe(self, self.on_frame)` in `on_mount`; look at `changes.tasks` to follow one task.
- `app.act("cancel", task=12)`: run an action from the table, as its key would; says why when it can't act.
- `app.tell(text, "warning")`: one line to the operator. Any text is safe here.
- `app.memory`, `app.theming`: what is remembered between runs, and the themes.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.events import Event, Resize
from textual.filter import LineFilter
from textual.screen import Screen
from textual.signal import Signal
from textual.widget import Widget
from textual.widgets import Input

from aios_tui.console import actions
from aios_tui.console.app_base import ConsoleBase, Severity
from aios_tui.console.handlers import operator
from aios_tui.console.handlers.palette import ActionCommands
from aios_tui.console.input.line_filter import PrintableOnly
from aios_tui.console.jobs.models import ModelJobs
from aios_tui.console.jobs.recording import end_broken_recording
from aios_tui.console.preferences import Preferences
from aios_tui.console.screens.main import MainScreen
from aios_tui.console.state.bridge import Bridge
from aios_tui.console.state.ports import ConsoleRuntime
from aios_tui.console.state.reducer import result_of
from aios_tui.console.state.view_state import MAX_RESULTS, Changes, Counts
from aios_tui.console.textual_internals.exceptions import exception_of
from aios_tui.console.textual_internals.paste_parser import pastes_without_escapes
from aios_tui.console.textual_internals.terminal_stream import with_current_size, writes_survive_hangup
from aios_tui.console.theming import ThemeManager, variable_defaults
from aios_tui.console.widgets.footer import NOTICE_S
from aios_tui.reporting.run_store import MemoryRuns, Runs
from engine.errors import AiosError
from engine.sanitise import one_line
from engine.task import TaskSpec, TaskState

if TYPE_CHECKING:
    from aios_tui.console.jobs.replay import ReplayJob

READ_CHARS_S = 20.0
"""How quickly people read, so that a long notice stays long enough."""


class ConsoleApp(ConsoleBase):
    """The console over an opened session. The app's return value is the exit code: 0, or 128 + a signal's number.

    Args:
        session: opened; the console starts it after its first paint. Closing it is `run_console`'s.
        memory: what is remembered between runs; without it nothing is.
        themes_folder: where the user's themes are.
        workloads_folder: where the user's workload files are, and recordings go.
        runs: where runs are kept; without it they last as long as the console.
        theme: overrides the remembered theme.
        now: the time in Unix seconds, against which waiting times are drawn.
    """

    TITLE = "aios-tui"
    CSS_PATH = ["app.tcss", "screens/main.tcss"]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {ActionCommands}  # noqa: RUF012  (typed by the base class)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "act('quit')", show=False, priority=True),
        Binding("ctrl+c", "act('quit')", show=False),
    ]

    def __init__(
        self,
        runtime: ConsoleRuntime,
        *,
        memory: Preferences | None = None,
        themes_folder: Path | None = None,
        workloads_folder: Path | None = None,
        runs: Runs | None = None,
        theme: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.memory = memory or Preferences()
        self.theming = ThemeManager(
            self, folder=themes_folder, memory=self.memory, told=lambda text: self.tell(text, "warning")
        )
        self.workloads_folder = workloads_folder
        self.runs: Runs = runs or MemoryRuns()
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

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._printable_only]

    def get_default_screen(self) -> Screen[Any]:
        return MainScreen()

    @property
    def main(self) -> MainScreen:
        """The main screen, also while another one lies over it."""
        return cast(MainScreen, self.screen_stack[0])

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults()

    # Lifecycle

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Resize) and not self.is_headless:
            event = with_current_size(event)
        await super().on_event(event)

    def before_paste(self) -> None:
        """What is pasted while a pane has the focus is meant for the quick line."""
        if self.screen is self.main and not isinstance(self.focused, Input) and not self.view.trouble:
            self.main.begin_typing()

    def on_mount(self) -> None:
        self.theming.apply(self._wanted_theme)
        self.set_interval(1.0, self._tick)
        self._catch_signals()
        self.call_after_refresh(self.start)

    def _tick(self) -> None:
        if self.runtime.recording_over:
            self.carry_out(partial(end_broken_recording, self))
        self.bridge.tick()

    def start(self) -> None:
        """Start the core, in the background."""
        self.background(self._start, group="session", exclusive=True)
        self.background(self.theming.watch, group="themes", exclusive=True)

    async def _start(self) -> None:
        self.view.trouble = None
        await self.load_results()
        try:
            recovery = await self.runtime.start()
        except AiosError as error:
            self.view.trouble = one_line(str(error))
            self.view.changes.header = True
            self.bridge.emit()
            self.tell(str(error), "error")
            return
        self.started.set()
        self.bridge.attach(self.runtime.kernel)
        self.background(self.bridge.run, group="bridge", exclusive=True)
        await self.load_results()
        if problems := self.runtime.agent_problems:
            count = f"{len(problems)} agents can't be used: " if len(problems) > 1 else ""
            self.tell(count + "; ".join(problems), "warning")
        if words := operator.recovered_words(recovery):
            self.tell(words)

    async def load_results(self) -> None:
        """Fill the results from the history. After the start this is done again: tasks may have ended meanwhile."""
        try:
            records = await self.runtime.history.list(limit=MAX_RESULTS)
            counts = await self.runtime.history.counts()
        except AiosError as error:
            self.tell(str(error), "error")
            return
        self.bridge.flush()
        view = self.view
        view.set_results(result_of(record) for record in records if record.state.ended)
        view.counts = Counts(counts[TaskState.DONE], counts[TaskState.FAILED], counts[TaskState.CANCELLED])
        view.changes.header = True
        self.bridge.emit()

    def _reload(self) -> None:
        self.background(self.load_results, group="results", exclusive=True)

    def _catch_signals(self) -> None:
        """Leave in order, with the terminal restored, when told to end. Windows has no such signals."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None:
                try:
                    loop.add_signal_handler(number, self.leave, 128 + number)
                except (NotImplementedError, RuntimeError, ValueError):
                    return

    def leave(self, code: int = 0) -> None:
        """Stop running tasks, which are queued again, and end the app. Calling it twice does nothing more."""
        if not self.leaving:
            self.leaving = self.main.header.leaving = True
            self.main.header.redraw()
            self.tell("stopping …")
            self.background(partial(self._leave, code), group="leaving")

    async def _leave(self, code: int) -> None:
        try:
            await self.runtime.close(drain_s=0.0)
        finally:
            self.exit(code)

    # Frames, words and actions

    def _publish(self, changes: Changes) -> None:
        for notice in changes.notices:
            self.tell(notice.text, "information" if notice.level == "info" else notice.level)
        self.frames.publish(changes)

    def tell(self, text: str, severity: Severity = "information") -> None:
        """Say one line to the operator: in the footer of the main screen; over another screen, or where a warning or
        an error is longer than the footer, in a box that has room for all of it."""
        self.last_notice = one_line(text)
        if not self.is_running or not self.screen_stack:
            return
        fits = severity == "information" or self.main.footer.has_room_for(self.last_notice)
        if self.screen is self.main and fits:
            self.main.show_notice(self.last_notice, severity)
        else:
            seconds = max(NOTICE_S[severity], len(self.last_notice) / READ_CHARS_S)
            self.notify(self.last_notice, severity=severity, markup=False, timeout=seconds)

    def situation(self, task: int | None = None) -> actions.ActionContext:
        """Where the operator is; `task` stands in for what is selected on the main screen."""
        main = self.main
        selected = main.selected if task is None else task
        replay = None if self.replaying is None else self.replaying.view
        recording = None if self.runtime.recording is None else self.runtime.recording.name
        return actions.ActionContext(
            self.view, main.pane, selected, self.live and not self.leaving, replay=replay, recording=recording
        )

    def act(self, action: str, task: int | None = None) -> bool:
        """Run an action as its key would. Returns False, and has said why, when it can't act now."""
        now = self.situation(task)
        if reason := actions.BY_ID[action].why_not(now):
            self.tell(reason, "warning")
            return False
        operation = operator.OPERATIONS[action]
        if inspect.iscoroutinefunction(operation):
            self.carry_out(partial(operation, self, now))
        else:
            operation(self, now)
        return True

    def submit(self, specs: list[TaskSpec]) -> None:
        """Submit tasks in the background and say their ids; the quick line comes here."""
        if reason := actions.BY_ID["new"].why_not(self.situation()):
            self.tell(reason, "warning")
        else:
            self.background(partial(self._finish, partial(operator.submit, self, specs)), group="actions")

    def action_act(self, action: str) -> None:
        self.act(action)

    async def action_quit(self) -> None:
        self.act("quit")

    def action_help_quit(self) -> None:
        self.act("quit")


def console(widget: Widget) -> ConsoleApp:
    """The app a widget or screen belongs to, typed."""
    return cast(ConsoleApp, widget.app)


async def run_console(runtime: ConsoleRuntime, **options: Any) -> int:
    """Run the console over an opened session until it is left, then close the session. Returns the exit code.

    `options` are ConsoleApp's. An unexpected exception in the app is raised again once the terminal is restored.
    """
    app = ConsoleApp(runtime, **options)
    try:
        with writes_survive_hangup(), pastes_without_escapes():
            code = await app.run_async()
        if (error := exception_of(app)) is not None:
            raise error
    finally:
        await runtime.close(drain_s=0.0)
    return app.return_code or 0 if code is None else code
