"""One task in full."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.screen import Screen


class TaskScreen(Screen[None]):
    """Shows the task `task_id`, live while it runs."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "back")]

    def __init__(self, task_id: int) -> None:
        super().__init__()
        self.task_id = task_id
