"""The window that asks which model to pull, and to which core."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from aios_tui.console.screen_keys import hint_line
from aios_tui.console.screens.base import Dialog
from aios_tui.console.widgets.inputs import NameInput
from engine.sanitise import one_line


class PullScreen(Dialog[tuple[str, str] | None]):
    """Returns the core and the model, or None if it is closed. The first of `cores` is offered first."""

    AUTO_FOCUS = "#name"
    SCOPE = "pull"

    def __init__(self, cores: Sequence[str], model: str = "") -> None:
        super().__init__()
        self._cores = list(cores)
        self._model = model

    def compose(self) -> ComposeResult:
        with Vertical(id="pull", classes="dialog") as box:
            box.border_title = Content("Pull a model")
            keys = ("open", "next_pane", "back") if len(self._cores) > 1 else ("open", "back")
            box.border_subtitle = Content(hint_line("pull", *keys))
            yield NameInput(
                one_line(self._model, 300), id="name", compact=True, placeholder="such as qwen3:8b or smollm2:135m",
                max_length=300, select_on_focus=False,
            )  # fmt: skip
            yield Static(self._destination(), id="destination", markup=False)

    def _destination(self) -> Content:
        return Content.assemble(("to ", "$muted"), one_line(self._cores[0], 60))

    def action_next_pane(self) -> None:
        self._cores.append(self._cores.pop(0))
        self.query_one("#destination", Static).update(self._destination())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.input.value.strip()
        if name and not any(character.isspace() for character in name):
            self.dismiss((self._cores[0], name))
        else:
            problem = "a model's name has no spaces" if name else "write the name of a model, such as smollm2:135m"
            self.query_one("#destination", Static).update(Content.styled(problem, "$warning"))
