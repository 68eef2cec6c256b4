"""An input of one line that shows its cursor from the first text on."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from aios_tui.console.textual_internals.scrolling import scroll_to_cursor_from_the_start


class LineInput(Input):
    """An Input that scrolls to its cursor for its first text, too, and that only escape, enter or a click leave.

    Tab is pressed twice out of habit; if it moved the focus, the words typed next would be keys of the pane there.
    """

    # No action of the console, so not in its table of keys: this only keeps Textual from moving the focus.
    BINDINGS: ClassVar[list[BindingType]] = [("tab,shift+tab", "stay", "stay")]

    def action_stay(self) -> None:
        self.app.bell()

    def on_mount(self) -> None:
        scroll_to_cursor_from_the_start(self)
