"""What to do with running tasks when leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.state.view_state import Changes

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase

Choice = Literal["drain", "stop"]


class QuitScreen(ModalScreen[Choice | None]):
    """Returns `drain` (wait for them), `stop` (stop them and queue them again), or None to stay."""

    CSS_PATH = "quit.tcss"
    AUTO_FOCUS = "#choices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "choose('drain')", "drain"),
        Binding("s,ctrl+c", "choose('stop')", "stop"),
        Binding("escape,c,n", "choose('stay')", "stay"),
        Binding("j", "move(1)", "down", show=False),
        Binding("k", "move(-1)", "up", show=False),
    ]

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(id="quit") as box:
            box.border_title = Content("Leave")
            yield Static(self._now(), id="now", markup=False)
            yield OptionList(
                Option(_row("d", "drain", "let running tasks finish, then leave"), id="drain"),
                Option(_row("s", "stop now", "running tasks go back to the queue"), id="stop"),
                Option(_row("c", "cancel", "stay here"), id="stay"),
                id="choices",
            )
            note = f"What is queued stays for next time. {self.console.model_jobs.lost_by_leaving}".strip()
            yield Static(note, id="note", markup=False)

    def on_mount(self) -> None:
        self.console.frames.subscribe(self, self._on_frame)

    def _on_frame(self, _changes: Changes) -> None:
        self.query_one("#now", Static).update(self._now())

    def _now(self) -> Content:
        running, queued = self.console.view.running, self.console.view.queued
        tasks = "1 task is running" if running == 1 else f"{running or 'no'} tasks are running"
        return Content(f"{tasks}, {queued or 'none'} queued")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose(event.option.id or "stay")

    def action_choose(self, choice: str) -> None:
        self.dismiss(cast(Choice, choice) if choice in ("drain", "stop") else None)

    def action_move(self, by: int) -> None:
        choices = self.query_one(OptionList)
        if by > 0:
            choices.action_cursor_down()
        else:
            choices.action_cursor_up()


def _row(key: str, name: str, words: str) -> Content:
    return Content.assemble((key, "bold $accent"), (f"  {name:<10}", "bold"), words)
