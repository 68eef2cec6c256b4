"""Whether a model is really to be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.formatting import numbers
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from engine.cores.port import ModelInfo


class DeleteModelScreen(ModalScreen[bool]):
    """Returns True to delete it. Keeping it is what enter does at first."""

    CSS_PATH = "delete_model.tcss"
    AUTO_FOCUS = "#choices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "choose('delete')", "delete"),
        Binding("escape,n,q,k", "choose('keep')", "keep"),
        Binding("tab", "move", "other", show=False),
    ]

    def __init__(self, core: str, model: ModelInfo) -> None:
        super().__init__()
        self._core, self._model = core, model

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(id="delete") as box:
            box.border_title = Content("Delete a model")
            yield Static(self._told(), id="told", markup=False)
            yield OptionList(
                Option(_row("esc", "keep", "leave it as it is"), id="keep"),
                Option(_row("d", "delete", "remove it from the server"), id="delete"),
                id="choices",
            )

    def _told(self) -> Content:
        """What it is, and who would miss it."""
        model = self._model
        names = (model.name, *model.aliases)
        wanted = [task for task in self.console.view.tasks.values() if task.spec.model in names]
        parts = [one_line(model.name, 80), "" if model.size is None else numbers.size(model.size), f"at {self._core}"]
        told = " ".join(filter(None, parts))
        if model.loaded:
            told += ", in memory now"
        core = self.console.view.cores.get(self._core)
        if core is not None and core.default_model in names:
            told += ", the model of tasks that name none"
        if wanted:
            told += f"; {len(wanted)} queued or running {'task asks' if len(wanted) == 1 else 'tasks ask'} for it"
        return Content(told)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose(event.option.id or "keep")

    def action_choose(self, choice: str) -> None:
        self.dismiss(choice == "delete")

    def action_move(self) -> None:
        choices = self.query_one(OptionList)
        choices.highlighted = 1 - (choices.highlighted or 0)


def _row(key: str, name: str, said: str) -> Content:
    return Content.assemble((f"{key:<4}", "bold $accent"), (f"  {name:<8}", "bold"), said)
