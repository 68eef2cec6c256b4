"""The form for a new task."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.screen import ModalScreen

from aios_tui.bridge.port import ConsoleSession
from engine.model import TaskSpec


class SubmitScreen(ModalScreen[list[TaskSpec] | None]):
    """Returns the tasks to submit, None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "back")]

    def __init__(self, session: ConsoleSession) -> None:
        super().__init__()
        self.session = session
