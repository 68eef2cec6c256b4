"""An input of one line that shows its cursor from the first text on."""

from __future__ import annotations

from textual.geometry import Region
from textual.widgets import Input


class LineInput(Input):
    """Textual does not scroll to the cursor for an input's first text, be it given or pasted: of a long one the end,
    where one writes on, would be out of sight.
    """

    def on_mount(self) -> None:
        self._initial_value = False
        self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        self.scroll_to_region(Region(self._cursor_offset, 0, 1, 1), force=True, animate=False)
