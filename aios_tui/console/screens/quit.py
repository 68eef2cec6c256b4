"""The window that asks what to do with running tasks when quitting."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from aios_tui.console.screens.base import ChoiceDialog
from aios_tui.console.state.view_state import Changes
from engine.wording import plural

Choice = Literal["drain", "stop"]


class QuitScreen(ChoiceDialog[Choice | None]):
    """Returns `drain` (wait for running tasks), `stop` (stop and queue them again), or None to stay."""

    SCOPE = "quit"
    HEADING = "Quit"
    ANSWERS: ClassVar = {
        "drain": ("D", "drain", "let running tasks finish, then quit"),
        "stop": ("q", "quit now", "running tasks go back to the queue"),
        "stay": ("esc", "stay", "close this window"),
    }

    def on_mount(self) -> None:
        note = f"Queued tasks are kept for the next start. {self.console.model_jobs.lost_by_leaving}".strip()
        self.query_one(".question", Vertical).mount(Static(note, id="note", markup=False))
        self.console.frames.subscribe(self, self._on_frame)

    def _on_frame(self, _changes: Changes) -> None:
        self.query_one("#question", Static).update(self.question())

    def question(self) -> Content:
        running, queued = self.console.view.running, self.console.view.queued
        return Content(f"{plural(running, 'task')} running, {queued:,} queued")

    def action_choose(self, answer: str) -> None:
        self.dismiss(cast(Choice, answer) if answer in ("drain", "stop") else None)
