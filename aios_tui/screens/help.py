"""Help for a view, made from the action table."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.screen import ModalScreen


class HelpScreen(ModalScreen[None]):
    """Shows the keys of `context`: a pane's name, or a screen's."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "back")]

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context
