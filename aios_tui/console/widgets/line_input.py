"""An input of one line that shows its cursor from the first text on."""

from __future__ import annotations

from textual.widgets import Input

from aios_tui.console.textual_internals.scrolling import scroll_to_cursor_from_the_start


class LineInput(Input):
    """An Input that scrolls to its cursor for its first text, too."""

    def on_mount(self) -> None:
        scroll_to_cursor_from_the_start(self)
