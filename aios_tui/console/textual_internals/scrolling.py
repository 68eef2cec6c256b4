"""Scroll positions that Textual's public API sets only with a layout of the whole screen, or not at all."""

from __future__ import annotations

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.widgets import Input


def set_scroll_size(view: ScrollView, size: Size) -> None:
    """Change a view's `virtual_size` without a layout; the scrollbar must neither appear nor go.

    Setting the reactive lays out the whole screen, which costs several milliseconds each time a queue changes.
    """
    view.set_reactive(ScrollView.virtual_size, size)
    view._scroll_update(size)


def scroll_to_cursor_from_the_start(field: Input) -> None:
    """Scroll to the cursor for an input's first text, too; call when it is mounted.

    Textual leaves the view at the start of an input's first value, given or pasted: of a long one the end, where one
    continues to write, would be out of sight. The cursor's offset in cells is private.
    """
    field._initial_value = False

    def scroll() -> None:
        field.scroll_to_region(Region(field._cursor_offset, 0, 1, 1), force=True, animate=False)

    field.call_after_refresh(scroll)
