"""The ten priorities in one line, one of them chosen."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.color import Color
from textual.content import Content
from textual.reactive import reactive
from textual.style import Style
from textual.widget import Widget

from aios_tui.console.screen_keys import bindings
from engine.task import DEFAULT_PRIORITY, LEAST_URGENT, MOST_URGENT

WORDS = {MOST_URGENT: "most urgent", DEFAULT_PRIORITY: "default", LEAST_URGENT: "least urgent"}


class PriorityPicker(Widget, can_focus=True):
    """Chooses a priority by its digit, the arrows, `+` and `-`, or a click."""

    DEFAULT_CSS = """
    PriorityPicker { height: 1; width: 1fr; background: $background; color: $muted; }
    PriorityPicker:focus { background: $cursor; color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("priority")

    value = reactive(DEFAULT_PRIORITY)

    def __init__(self, value: int = DEFAULT_PRIORITY, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(PriorityPicker.value, value)

    @property
    def _cell(self) -> int:
        return 3 if self.size.width >= 30 else 2

    def render(self) -> Content:
        variables = self.app.theme_variables
        dark = Color.parse(variables["background"])
        parts: list[Content] = []
        for level in range(MOST_URGENT, LEAST_URGENT + 1):
            colour = Color.parse(variables[f"priority-{level}"])
            chosen = level == self.value
            style = Style(background=colour, foreground=dark, bold=True) if chosen else Style(foreground=colour)
            text = f" {level} " if self._cell == 3 else str(level)
            parts.append(Content.styled(text, style))
            if self._cell == 2:
                parts.append(Content(" "))
        return Content("").join([*parts, Content(f"  {WORDS.get(self.value, '')}")])

    def validate_value(self, value: int) -> int:
        """Keep the value within the ten priorities."""
        return min(max(value, MOST_URGENT), LEAST_URGENT)

    def action_step(self, by: int) -> None:
        self.value += by

    def action_choose(self, level: int) -> None:
        self.value = level

    def on_click(self, event: events.Click) -> None:
        level = event.x // self._cell
        if level <= LEAST_URGENT:
            self.value = level
