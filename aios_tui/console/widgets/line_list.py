"""A list drawn line by line: whatever its length, only the visible lines are ever built."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from aios_tui.console.actions import ACTIONS
from aios_tui.console.textual_internals.scrolling import set_scroll_size
from aios_tui.console.widgets.cells import fit
from aios_tui.console.widgets.columns import Column, Placed, place
from aios_tui.console.widgets.styled_lines import Inked, Line


class LineList(ScrollView, Inked, can_focus=True):
    """Rows with fixed columns and a cursor, which stays on its row's key when the order changes.

    Subclasses give `count`, `row_key`, `index_of` and `draw`, and call `renew` when the data changed.

    Attributes:
        needle: the filter; subclasses show only rows that contain it.
        follows: while the cursor is on the first row it stays there, whatever row that is.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    EMPTY: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"move('{action.id}')", action.label, show=False)
        for action in ACTIONS
        if action.moves
    ]
    follows: ClassVar[bool] = False

    @dataclass
    class Pointed(Message):
        """The cursor is on another row now."""

        key: int | None

    @dataclass
    class Opened(Message):
        """A row was double-clicked."""

        key: int

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.needle = ""
        self.cursor = 0
        self.cursor_key: int | None = None
        self.moved: tuple[int, int] | None = None
        """When the selected row left by itself: its key, and the one that took its place; None after a key press."""
        self.moved_at = 0.0
        self._drawn: dict[int, tuple[int, bool, Line]] = {}
        self._placed: tuple[int, tuple[Placed, ...]] = (-1, ())

    # For subclasses

    def count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def row_key(self, index: int) -> int:
        """The key of a row that exists."""
        raise NotImplementedError

    def index_of(self, key: int) -> int | None:
        """Where a key is now, None when it has left."""
        raise NotImplementedError

    def cells(self, index: int) -> dict[str, tuple[str, str]]:
        """A row: for each column's id its text and ink."""
        raise NotImplementedError

    @property
    def room(self) -> Size:
        """What rows are drawn in: the content without the scrollbar."""
        return self.scrollable_content_region.size

    # Data

    def renew(self) -> None:
        """The data changed: find the cursor's row again, and refresh the visible lines that differ."""
        count = self.count()
        self._find_cursor(count)
        self._set_length(count)
        top, room = self.scroll_offset.y, self.room
        for y in range(room.height):
            if self._drawn.get(y) != self._wanted(top + y, count, room.width):
                self.refresh_line(top + y)

    def _set_length(self, count: int) -> None:
        """Tell the scrollbar. Setting `virtual_size` lays out the whole screen anew, so only when the bar must appear
        or go is it done that way."""
        if self.virtual_size.height == count:
            return
        size, height = Size(self.room.width, count), self.room.height
        if (count > height) == (self.virtual_size.height > height):
            set_scroll_size(self, size)
        else:
            self.virtual_size = size

    def _find_cursor(self, count: int) -> None:
        before = self.cursor_key
        if count == 0:
            self.cursor, self.cursor_key = 0, None
        else:
            index = None if before is None or (self.follows and self.cursor == 0) else self.index_of(before)
            at_edge = self._on_screen(self.cursor)
            self.cursor = min(self.cursor, count - 1) if index is None else index
            self.cursor_key = self.row_key(self.cursor)
            if at_edge and not self._on_screen(self.cursor):
                self._show_cursor()
        if self.cursor_key != before:
            if before is not None and self.cursor_key is not None and not self.follows:
                self.moved, self.moved_at = (before, self.cursor_key), monotonic()
            self.post_message(self.Pointed(self.cursor_key))

    def _on_screen(self, index: int) -> bool:
        return 0 <= index - self.scroll_offset.y < self.room.height

    # Moving

    def point(self, index: int) -> None:
        """Put the cursor on a row, as near as there is one, and show it."""
        count = self.count()
        if not count:
            return
        old, self.cursor = self.cursor, min(max(0, index), count - 1)
        self.moved = None
        key = self.row_key(self.cursor)
        self._show_cursor()
        self.refresh_line(old)
        self.refresh_line(self.cursor)
        if key != self.cursor_key:
            self.cursor_key = key
            self.post_message(self.Pointed(key))

    def _show_cursor(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.room.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def action_move(self, how: str) -> None:
        """Move the cursor by one of the table's moves."""
        self._find_cursor(self.count())
        page = max(1, self.room.height - 1)
        target = {
            "down": self.cursor + 1,
            "up": self.cursor - 1,
            "top": 0,
            "bottom": self.count() - 1,
            "page_down": self.cursor + page,
            "page_up": self.cursor - page,
        }
        self.point(target[how])

    def on_click(self, event: Click) -> None:
        index = self.scroll_offset.y + event.y
        if index < self.count():
            self.point(index)
            if event.chain == 2:
                self.post_message(self.Opened(self.row_key(index)))

    def on_resize(self, _: Resize) -> None:
        self._drawn.clear()
        self.virtual_size = Size(self.room.width, self.count())
        self.call_after_refresh(self._show_cursor)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    # Drawing

    def columns(self, width: int) -> tuple[Placed, ...]:
        """The columns that fit `width` cells."""
        if self._placed[0] != width:
            self._placed = (width, place(self.COLUMNS, width))
        return self._placed[1]

    def titles(self, width: int) -> Line:
        """The line above the rows."""
        return tuple(
            (fit(item.column.title, item.width, item.column.right) + ("" if item.last else "  "), "title")
            for item in self.columns(width)
        )

    def draw(self, index: int, width: int) -> Line:
        """A row as spans of exactly `width` cells."""
        cells = self.cells(index)
        spans = []
        for item in self.columns(width):
            text, ink = cells[item.column.id]
            spans.append((fit(text, item.width, item.column.right) + ("" if item.last else "  "), ink))
        return tuple(spans)

    def _wanted(self, index: int, count: int, width: int) -> tuple[int, bool, Line]:
        if index < count:
            return width, index == self.cursor, self.draw(index, width - 2)
        if count == 0 and index == 0 and self.EMPTY:
            empty = f"Nothing matches {self.needle!r}." if self.needle else self.EMPTY
            return width, False, ((fit(empty, width - 2), "dim"),)
        return width, False, ()

    def render_line(self, y: int) -> Strip:
        wanted = self._drawn[y] = self._wanted(self.scroll_offset.y + y, self.count(), self.room.width)
        width, on_cursor, line = wanted
        base = ("cursor" if self.has_focus else "cursor-blurred") if on_cursor else ""
        return self.strip_of(((" ", ""), *line), width, base)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn.clear()
