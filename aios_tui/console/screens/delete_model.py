"""The window that asks before a model is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from aios_tui.console.screens.base import ChoiceDialog
from aios_tui.formatting import numbers
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from engine.cores.port import ModelInfo


class DeleteModelScreen(ChoiceDialog[bool]):
    """Returns True to delete it. The option to keep it is highlighted at first."""

    SCOPE = "delete model"
    HEADING = "Delete a model"
    ANSWERS: ClassVar = {"keep": ("esc", "keep", "cancel"), "delete": ("d", "delete", "remove it from the server")}
    KEY_WIDTH = 4

    def __init__(self, core: str, model: ModelInfo) -> None:
        super().__init__()
        self._core, self._model = core, model

    def question(self) -> Content:
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

    def action_choose(self, answer: str) -> None:
        self.dismiss(answer == "delete")
