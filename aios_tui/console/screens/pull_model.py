"""Which model to pull, and which core is to have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.sanitise import one_line, sanitise


class NameInput(Input):
    """A model's name; what is pasted is cleaned first."""

    def on_paste(self, event: events.Paste) -> None:
        event.text = sanitise(event.text).strip()


class PullScreen(ModalScreen[tuple[str, str] | None]):
    """Returns the core and the model, None when it was left. The first of `cores` is the one that is offered."""

    CSS_PATH = "pull_model.tcss"
    AUTO_FOCUS = "#name"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave"),
        Binding("tab", "next_core", "core", show=False, priority=True),
    ]

    def __init__(self, cores: Sequence[str], model: str = "") -> None:
        super().__init__()
        self._cores = list(cores)
        self._model = model

    def compose(self) -> ComposeResult:
        with Vertical(id="pull") as box:
            box.border_title = Content("Pull a model")
            box.border_subtitle = Content(
                "enter pull   tab other core   esc leave" if len(self._cores) > 1 else "enter pull   esc leave"
            )
            name = NameInput(
                one_line(self._model, 300), id="name", compact=True, placeholder="such as qwen3:8b, or smollm2:135m",
                max_length=300, select_on_focus=False,
            )  # fmt: skip
            name.cursor_blink = False
            yield name
            yield Static(self._where(), id="where", markup=False)

    def _where(self) -> Content:
        return Content.assemble(("to ", "$muted"), one_line(self._cores[0], 60))

    def action_next_core(self) -> None:
        self._cores.append(self._cores.pop(0))
        self.query_one("#where", Static).update(self._where())

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.input.value.strip()
        if name and not any(character.isspace() for character in name):
            self.dismiss((self._cores[0], name))
        else:
            said = "a model's name has no spaces" if name else "write the name of a model, such as smollm2:135m"
            self.query_one("#where", Static).update(Content.styled(said, "$warning"))
