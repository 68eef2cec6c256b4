"""The quick line at the bottom of the main screen: one line of text that becomes a task."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError
from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from engine.model import TaskSpec


class QuickLine(Widget):
    """One input. `focus()` goes to it; escape is the screen's (it gives the focus back to the last pane)."""

    DEFAULT_CSS = """
    QuickLine { height: 1; }
    QuickLine Input { border: none; height: 1; padding: 0 1; background: $background; }
    """

    @dataclass
    class Submitted(Message):
        """A line was entered, and is a valid task."""

        spec: TaskSpec

    def compose(self) -> ComposeResult:
        yield Input(placeholder="i  write a task here: @story_teller !2 Tell me a funny story", compact=True)

    def focus(self, scroll_visible: bool = True) -> QuickLine:
        """Put the cursor into the line."""
        self.query_one(Input).focus(scroll_visible)
        return self

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            spec = TaskSpec(prompt=event.value)
        except ValidationError:
            return
        event.input.clear()
        self.post_message(self.Submitted(spec))
