"""The theme picker."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.screen import ModalScreen


class ThemeScreen(ModalScreen[None]):
    """Shows each theme as it is pointed at; enter keeps it."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "back")]
