"""A small list of candidates that floats above the line being written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from engine.sanitise import one_line

ROWS = 6
WIDTH = 60


class CompletionList(Static):
    """Candidates, one of them chosen. It never has the focus: the widget that opens it moves the choice."""

    DEFAULT_CSS = """
    CompletionList {
        display: none; overlay: screen; constrain: inside;
        width: auto; height: auto; padding: 0 1;
        background: $panel; color: $foreground;
        &.-open { display: block; }
        & > .completion--chosen { background: $cursor; color: $foreground; text-style: bold; }
        & > .completion--note { color: $muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"completion--chosen", "completion--note"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._candidates: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._chosen = 0

    @property
    def chosen(self) -> str | None:
        """The chosen candidate; None while the list is closed."""
        return self._candidates[self._chosen] if self._candidates else None

    def open(self, candidates: Sequence[str], notes: Sequence[str], *, column: int) -> None:
        """Show candidates, each with a note beside it, `column` cells to the right of the widget."""
        self._candidates = tuple(candidates)
        self._notes = tuple(notes)
        self._chosen = 0
        self.styles.offset = (column - 1, -min(ROWS, len(self._candidates)))
        self.set_class(bool(self._candidates), "-open")
        self._draw()

    def close(self) -> None:
        """Hide the list."""
        self._candidates = self._notes = ()
        self.remove_class("-open")

    def move(self, by: int) -> None:
        """Choose another candidate; wraps around."""
        if self._candidates:
            self._chosen = (self._chosen + by) % len(self._candidates)
            self._draw()

    def _draw(self) -> None:
        first = max(0, min(self._chosen - ROWS // 2, len(self._candidates) - ROWS))
        shown = range(first, min(first + ROWS, len(self._candidates)))
        names = [one_line(candidate, WIDTH) for candidate in self._candidates]
        width = max((cell_len(names[index]) for index in shown), default=0)
        lines = [self._line(index, names[index], width) for index in shown]
        self.update(Content("\n").join(lines))

    def _line(self, index: int, name: str, width: int) -> Content:
        padding = " " * (width - cell_len(name))
        note = one_line(self._notes[index], WIDTH) if index < len(self._notes) else ""
        chosen = index == self._chosen
        style = self.get_visual_style("completion--chosen" if chosen else "completion--note")
        if chosen:
            return Content(f"{name}{padding}  {note}".rstrip()).stylize(style)
        return Content.assemble(Content(name + padding + ("  " if note else "")), (note, style))
