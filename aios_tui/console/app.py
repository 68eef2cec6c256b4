"""The console: composition, key dispatch and lifecycle. `state/` holds what it shows, `handlers/` what actions do.

For screens and widgets, `self.app` is the `ConsoleApp`, which a `ConsoleScreen` has typed as `self.console`:

- `app.runtime`: history, agents, telemetry; `app.runtime.kernel` only while `app.live` is true.
- `app.view`: the view state to draw from. Don't store it, it may be replaced; don't change it.
- `app.frames`: a Signal published after the view state changed, at most ten times a second, with the `Changes`.
  `app.frames.subscribe(self, self.on_frame)` in `on_mount`; look at `changes.tasks` to follow one task.
- `app.act("cancel", task=12)`: run an action as its key would; a notice gives the reason when it is not available.
- `app.notify(text, severity="warning")`: one line for the operator. Any text is safe here.
- `app.preferences`, `app.themes`: values remembered between runs, and the themes.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, cast

from textual.binding import BindingType
from textual.events import Event, Resize
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import Input

from aios_tui.console.action_context import ActionContext
from aios_tui.console.actions import BY_ID
from aios_tui.console.app_base import ConsoleBase
from aios_tui.console.handlers import operator
from aios_tui.console.handlers.palette import ActionCommands
from aios_tui.console.screen_keys import bindings
from aios_tui.console.screens.main import MainScreen
from aios_tui.console.state.ports import ConsoleRuntime
from aios_tui.console.textual_internals.exceptions import exception_of
from aios_tui.console.textual_internals.paste_parser import pastes_without_escapes
from aios_tui.console.textual_internals.terminal_stream import with_current_size, writes_survive_hangup
from aios_tui.console.theming import variable_defaults
from aios_tui.console.widgets.footer import NOTICE_S
from engine.errors import AiosError
from engine.sanitise import one_line
from engine.task import TaskSpec

READ_CHARS_S = 20.0
"""Reading speed in characters a second: a long notice stays long enough to be read."""


class ConsoleApp(ConsoleBase):
    """The console over an opened runtime. The app's return value is the exit code: 0, or 128 + a signal's number."""

    TITLE = "aios-tui"
    CSS_PATH = ["app.tcss", "screens/main.tcss"]  # noqa: RUF012  (typed by the base class)
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {ActionCommands}  # noqa: RUF012  (typed by the base class)
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._printable_only]

    def get_default_screen(self) -> Screen[Any]:
        return MainScreen()

    @property
    def main(self) -> MainScreen:
        """The main screen, also while another screen covers it."""
        return cast(MainScreen, self.screen_stack[0])

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults()

    # Lifecycle

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Resize) and not self.is_headless:
            event = with_current_size(event)
        await super().on_event(event)

    def before_paste(self) -> None:
        """Send a paste to the quick line while a pane has the focus."""
        if self.screen is self.main and not isinstance(self.focused, Input) and not self.view.trouble:
            self.main.begin_typing()

    def on_mount(self) -> None:
        self.themes.apply(self._wanted_theme)
        self.set_interval(1.0, self._tick)
        self._catch_signals()
        self.call_after_refresh(self.start)

    def _tick(self) -> None:
        if self.runtime.recording_over:
            self.carry_out(self.stop_recording)
        self.bridge.tick()

    def start(self) -> None:
        """Start the core, in the background."""
        self.background(self._start, group="session", exclusive=True)
        self.background(self.themes.watch, group="themes", exclusive=True)

    async def _start(self) -> None:
        self.view.trouble = None
        await self.load_results()
        try:
            recovery = await self.runtime.start()
        except AiosError as error:
            self.view.trouble = one_line(str(error))
            self.view.changes.header = True
            self.bridge.emit()
            self.notify(str(error), severity="error")
            return
        self.started.set()
        self.bridge.attach(self.runtime.kernel)
        self.background(self.bridge.run, group="bridge", exclusive=True)
        await self.load_results()
        if problems := self.runtime.agent_problems:
            count = f"{len(problems)} agents can't be used: " if len(problems) > 1 else ""
            self.notify(count + "; ".join(problems), severity="warning")
        if summary := operator.recovery_summary(recovery):
            self.notify(summary)

    def _catch_signals(self) -> None:
        """Quit cleanly, with the terminal restored, on SIGTERM and SIGHUP. Windows has no such signals."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None:
                try:
                    loop.add_signal_handler(number, self.leave, 128 + number)
                except (NotImplementedError, RuntimeError, ValueError):
                    return

    # Frames, notices and actions

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show one line to the operator. Untrusted text is safe: it is cleaned and never read as markup.

        It appears in the footer of the main screen. Over another screen, or if a warning or error is longer than the
        footer, it appears in a toast that has room for all of it. `title` and `markup` are ignored.
        """
        self.last_notice = one_line(message)
        if not self.is_running or not self.screen_stack:
            return
        fits = severity == "information" or self.main.footer.has_room_for(self.last_notice)
        if self.screen is self.main and fits:
            self.main.footer.show_notice(self.last_notice, severity)
        else:
            seconds = timeout or max(NOTICE_S[severity], len(self.last_notice) / READ_CHARS_S)
            super().notify(self.last_notice, severity=severity, markup=False, timeout=seconds)

    def action_context(self, task: int | None = None) -> ActionContext:
        """The state that decides which actions are available.

        `task` is used instead of the task selected on the main screen.
        """
        main = self.main
        selected = main.selected if task is None else task
        replay = None if self.replaying is None else self.replaying.view
        recording = None if self.runtime.recording is None else self.runtime.recording.name
        return ActionContext(
            self.view, main.pane, selected, self.live and not self.leaving, replay=replay, recording=recording
        )

    def act(self, action: str, task: int | None = None) -> bool:
        """Run an action as its key would. Returns False, after a notice with the reason, when it is not available."""
        context = self.action_context(task)
        if reason := BY_ID[action].why_not(context):
            self.notify(reason, severity="warning")
            return False
        operation = operator.OPERATIONS[action]
        if inspect.iscoroutinefunction(operation):
            self.carry_out(partial(operation, self, context))
        else:
            operation(self, context)
        return True

    def submit(self, specs: list[TaskSpec]) -> None:
        """Submit tasks in the background and show their ids in a notice."""
        if reason := BY_ID["new"].why_not(self.action_context()):
            self.notify(reason, severity="warning")
        else:
            self.carry_out(partial(operator.submit, self, specs))

    def action_act(self, action: str) -> None:
        self.act(action)

    async def action_quit(self) -> None:
        self.act("quit")

    def action_help_quit(self) -> None:
        self.act("quit")


async def run_console(runtime: ConsoleRuntime, **options: Any) -> int:
    """Run the console over an opened runtime until the operator quits, then close the runtime. Returns the exit code.

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
