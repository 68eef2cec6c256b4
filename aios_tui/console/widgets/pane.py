"""A pane: a frame with a title, column titles, a list, and the filter that `/` opens."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from aios_tui.console.action_context import Pane as PaneName
from aios_tui.console.widgets.activity import ActivityView
from aios_tui.console.widgets.canvas import Canvas
from aios_tui.console.widgets.inputs import LineInput
from aios_tui.console.widgets.line_list import LineList
from aios_tui.console.widgets.styled_lines import Line


class Titles(Canvas):
    """The line of column titles, as wide as the list without its scrollbar."""

    def __init__(self, rows: LineList) -> None:
        super().__init__(classes="titles")
        self._rows = rows

    def build(self, width: int, height: int) -> list[Line]:
        return [((" ", ""), *self._rows.titles(width - 3))]


class FilterInput(LineInput):
    """The filter's input; shown only while a filter is used."""

    async def action_submit(self) -> None:
        """Go back to the list at once: a message would arrive after a key that is waiting already."""
        pane = next(node for node in self.ancestors if isinstance(node, Pane))
        pane.close_filter(clear=False)
        self.screen.set_focus(pane.body)


class Pane(Vertical):
    """A list in a frame."""

    class Filtered(Message):
        """The filter's text changed."""

    def __init__(self, name: PaneName, number: int, body: LineList | ActivityView) -> None:
        super().__init__(id=f"pane-{name}", classes="pane")
        self.pane: PaneName = name
        self.body = body
        self._number = number
        self._summary: str | None = None

    def compose(self) -> ComposeResult:
        if isinstance(self.body, LineList):
            yield Titles(self.body)
        yield self.body
        yield FilterInput(placeholder="show only lines with …", compact=True, classes="-closed")

    def set_summary(self, summary: str) -> None:
        """Set the title: the pane's number and name, and this summary."""
        if self.body.needle:
            summary = f"{summary}  /{self.body.needle}"
        if summary != self._summary:
            self._summary = summary
            self.border_title = Content.assemble(
                (f"{self._number} ", "$text-accent"),
                (self.pane.capitalize(), "bold"),
                f"  {summary}" if summary else "",
            )

    @property
    def filter_input(self) -> FilterInput:
        return self.query_one(FilterInput)

    def open_filter(self) -> None:
        """Show the filter's input and focus it."""
        self.filter_input.remove_class("-closed")
        self.filter_input.focus()

    def close_filter(self, *, clear: bool) -> bool:
        """Leave the filter's input; `clear` shows all lines again. Returns False if it was not open."""
        line = self.filter_input
        was_open = not line.has_class("-closed")
        if clear:
            line.value = ""
        if clear or not line.value:
            line.add_class("-closed")
        return was_open

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.body.needle = event.value.strip()
        self.post_message(self.Filtered())
