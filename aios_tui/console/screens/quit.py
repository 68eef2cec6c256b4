"""The window that asks what to do with running tasks when quitting."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.screen_keys import bindings
from aios_tui.console.screens.base import Dialog
from aios_tui.console.state.view_state import Changes
from aios_tui.console.widgets.option_list import PlainOptionList
from engine.wording import plural

Choice = Literal["drain", "stop"]


class QuitScreen(Dialog[Choice | None]):
    """Returns `drain` (wait for running tasks), `stop` (stop and queue them again), or None to stay."""

    CSS_PATH = "quit.tcss"
    AUTO_FOCUS = "#choices"
    SCOPE = "quit"
    BINDINGS: ClassVar[list[BindingType]] = bindings("quit")

    def compose(self) -> ComposeResult:
        with Vertical(id="quit", classes="dialog") as box:
            box.border_title = Content("Quit")
            yield Static(self._counts(), id="counts", markup=False)
            yield PlainOptionList(
                Option(_row("D", "drain", "let running tasks finish, then quit"), id="drain"),
                Option(_row("q", "quit now", "running tasks go back to the queue"), id="stop"),
                Option(_row("esc", "stay", "stay here"), id="stay"),
                id="choices",
                classes="choices",
            )
            note = f"Queued tasks are kept for the next start. {self.console.model_jobs.lost_by_leaving}".strip()
            yield Static(note, id="note", markup=False)

    def on_mount(self) -> None:
        self.console.frames.subscribe(self, self._on_frame)

    def _on_frame(self, _changes: Changes) -> None:
        self.query_one("#counts", Static).update(self._counts())

    def _counts(self) -> Content:
        running, queued = self.console.view.running, self.console.view.queued
        return Content(f"{plural(running, 'task')} running, {queued:,} queued")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose(event.option.id or "stay")

    def action_choose(self, choice: str) -> None:
        self.dismiss(cast(Choice, choice) if choice in ("drain", "stop") else None)


def _row(key: str, name: str, text: str) -> Content:
    return Content.assemble((f"{key:<3}", "bold $accent"), (f"  {name:<10}", "bold"), text)
