"""A list drawn line by line: only the visible lines are built, whatever the list's length.

The guarantee: a key, or a change of the data, costs what the visible lines cost, not what the list costs, so a queue of
10,000 tasks that changes ten times a second is as quick as one of ten. And the cursor stays on its row's key: when rows
above it come and go, the selected task stays selected.

Rows are not widgets and not stored. The list asks its subclass for the row at an index when it draws that line, and
remembers only what each visible line showed last. `refresh_rows` compares and refreshes the lines that differ; Textual
then composes these lines alone.

The length is the scrollbar's business. Setting Textual's `virtual_size` lays out the whole screen (several
milliseconds), so that happens only when the scrollbar appears or goes; otherwise the scrollbar alone is updated.

The cursor is an index and a key. After a change the key is looked up (`index_of`, O(log n) in the queue); if it is
gone, the cursor stays at its index, on the row that moved up. `moved` remembers that, so that a key pressed just before
does not act on a task that the operator never saw selected. A cursor that was visible is kept visible; one that had
been scrolled out of sight is left there.

Rejected alternatives: DataTable (stores every cell, and can insert a row in the middle only by sorting all of them;
`benchmarks/console_keys.py` compares the two); OptionList (stores every option); a widget per row with virtual
scrolling (a layout per frame).
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from aios_tui.console.screen_keys import bindings
from aios_tui.console.textual_internals.scrolling import set_scroll_size
from aios_tui.console.widgets.cells import fit
from aios_tui.console.widgets.columns import Column, Placed, place
from aios_tui.console.widgets.styled_lines import Line, LineWidget


class LineList(ScrollView, LineWidget, can_focus=True):
    """Rows with fixed columns, and a cursor.

    Subclasses implement `count`, `row_key`, `index_of` and `cells` (or `draw`), and call `refresh_rows` when the data
    changed.

    Attributes:
        needle: the filter; subclasses show only rows that contain it.
        follows: True keeps the cursor on the first row while it is there, whichever row that is.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    EMPTY: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = bindings("lines")
    follows: ClassVar[bool] = False

    @dataclass
    class Pointed(Message):
        """The cursor moved to another row."""

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
        """After the selected row left: its key and the key of the row in its place; None after a key press."""
        self.moved_at = 0.0
        self._drawn: dict[int, tuple[int, bool, Line]] = {}
        self._placed: tuple[int, tuple[Placed, ...]] = (-1, ())

    # For subclasses

    def count(self) -> int:
        """The number of rows."""
        raise NotImplementedError

    def row_key(self, index: int) -> int:
        """The key of an existing row."""
        raise NotImplementedError

    def index_of(self, key: int) -> int | None:
        """The index of a key now; None if it has left."""
        raise NotImplementedError

    def cells(self, index: int) -> dict[str, tuple[str, str]]:
        """The cells of a row: text and style by column id."""
        raise NotImplementedError

    @property
    def room(self) -> Size:
        """The size in which rows are drawn: the content without the scrollbar."""
        return self.scrollable_content_region.size

    # Data

    def refresh_rows(self) -> None:
        """Find the cursor's row again after a change of the data, and refresh the visible lines that differ."""
        count = self.count()
        self._find_cursor(count)
        self._set_length(count)
        top, room = self.scroll_offset.y, self.room
        for y in range(room.height):
            if self._drawn.get(y) != self._line_at(top + y, count, room.width):
                self.refresh_line(top + y)

    def _set_length(self, count: int) -> None:
        """Set the scrollbar's length, with a layout only when the bar must appear or go."""
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
        """Move the cursor to the row nearest to `index`, and show it."""
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
        """Move the cursor; `how` is the id of a moving action."""
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
        """Return the columns that fit into `width` cells."""
        if self._placed[0] != width:
            self._placed = (width, place(self.COLUMNS, width))
        return self._placed[1]

    def titles(self, width: int) -> Line:
        """Return the line of column titles."""
        return tuple(
            (fit(item.column.title, item.width, item.column.right) + ("" if item.last else "  "), "title")
            for item in self.columns(width)
        )

    def draw(self, index: int, width: int) -> Line:
        """Return a row as spans of exactly `width` cells."""
        cells = self.cells(index)
        spans = []
        for item in self.columns(width):
            text, style = cells[item.column.id]
            spans.append((fit(text, item.width, item.column.right) + ("" if item.last else "  "), style))
        return tuple(spans)

    def _line_at(self, index: int, count: int, width: int) -> tuple[int, bool, Line]:
        if index < count:
            return width, index == self.cursor, self.draw(index, width - 2)
        if count == 0 and index == 0 and self.EMPTY:
            empty = f"Nothing matches {self.needle!r}." if self.needle else self.EMPTY
            return width, False, ((fit(empty, width - 2), "dim"),)
        return width, False, ()

    def render_line(self, y: int) -> Strip:
        wanted = self._drawn[y] = self._line_at(self.scroll_offset.y + y, self.count(), self.room.width)
        width, on_cursor, line = wanted
        base = ("cursor" if self.has_focus else "cursor-blurred") if on_cursor else ""
        return self.strip_of(((" ", ""), *line), width, base)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn.clear()
