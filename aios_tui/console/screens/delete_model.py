"""The window that asks before a model is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.screen_keys import bindings
from aios_tui.console.screens.base import Dialog
from aios_tui.console.widgets.option_list import PlainOptionList
from aios_tui.formatting import numbers
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from engine.cores.port import ModelInfo


class DeleteModelScreen(Dialog[bool]):
    """Returns True to delete it. The option to keep it is highlighted at first."""

    CSS_PATH = "delete_model.tcss"
    AUTO_FOCUS = "#choices"
    SCOPE = "delete model"
    BINDINGS: ClassVar[list[BindingType]] = bindings("delete model")

    def __init__(self, core: str, model: ModelInfo) -> None:
        super().__init__()
        self._core, self._model = core, model

    def compose(self) -> ComposeResult:
        with Vertical(id="delete", classes="dialog") as box:
            box.border_title = Content("Delete a model")
            yield Static(self._summary(), id="summary", markup=False)
            yield PlainOptionList(
                Option(_row("esc", "keep", "cancel"), id="keep"),
                Option(_row("d", "delete", "remove it from the server"), id="delete"),
                id="choices",
                classes="choices",
            )

    def _summary(self) -> Content:
        """The model's facts, and the tasks that need it."""
        model = self._model
        names = (model.name, *model.aliases)
        tasks = [task for task in self.console.view.tasks.values() if task.spec.model in names]
        parts = [one_line(model.name, 80), "" if model.size is None else numbers.size(model.size), f"at {self._core}"]
        summary = " ".join(filter(None, parts))
        if model.loaded:
            summary += ", loaded now"
        core = self.console.view.cores.get(self._core)
        if core is not None and core.default_model in names:
            summary += ", the default model"
        if tasks:
            summary += f"; {plural(len(tasks), 'queued or running task names', 'queued or running tasks name')} it"
        return Content(summary)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose(event.option.id or "keep")

    def action_choose(self, choice: str) -> None:
        self.dismiss(choice == "delete")


def _row(key: str, name: str, text: str) -> Content:
    return Content.assemble((f"{key:<4}", "bold $accent"), (f"  {name:<8}", "bold"), text)
