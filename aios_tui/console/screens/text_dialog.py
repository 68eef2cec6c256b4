"""A window over another screen that is only read: its one text is scrolled by the keys of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase


class ReadingScreen(ModalScreen[None]):
    """What it shows is in the one VerticalScroll that it has. Its way back is a binding of its own."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll('down')", "down", show=False),
        Binding("k", "scroll('up')", "up", show=False),
        Binding("g", "scroll('home')", "first", show=False),
        Binding("G", "scroll('end')", "last", show=False),
    ]

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    def action_scroll(self, where: str) -> None:
        getattr(self.query_one(VerticalScroll), f"action_scroll_{where}")()
