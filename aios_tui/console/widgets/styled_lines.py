"""What drawn lines are made of: spans of text, each with the name of an ink, and the styles of those inks.

Inks are looked up in the theme's variables and not through component classes: with two dozen of those on every drawn
widget, each change of focus cost several milliseconds of style matching.
"""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from aios_tui.console.widgets.cells import cell_len, fit

Span = tuple[str, str]
"""Text, already fitted, and the name of its ink; an empty name is the widget's own colour."""
Line = tuple[Span, ...]

INKS: dict[str, tuple[str, str]] = {
    "dim": ("muted", ""),
    "strong": ("foreground", "bold"),
    "title": ("muted", ""),
    "accent": ("accent", ""),
    "primary": ("primary", ""),
    "good": ("success", ""),
    "warn": ("warning", ""),
    "bad": ("error", ""),
    "key": ("accent", "bold"),
    "off": ("frame", ""),
    "thinking": ("muted", "italic"),
    "bar": ("secondary", ""),
} | {f"priority-{level}": (f"priority-{level}", "bold" if level < 2 else "") for level in range(10)}
"""For each ink its theme variable and text style. The background is left alone, so that the cursor shows through."""

GROUNDS: dict[str, str] = {"cursor": "cursor", "cursor-blurred": "panel"}
"""Inks that lie under a whole line, and the theme variable of their background."""


class Inked(Widget):
    """A widget that draws lines of spans. Styles are looked up once for each change of theme or state."""

    _styles_by_ink: dict[str, Style] | None = None

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_by_ink = None

    def ink(self, name: str) -> Style:
        """The style of an ink; the empty name is the widget's own style, background included."""
        styles = self._styles_by_ink
        if styles is None:
            styles = self._styles_by_ink = {"": self.rich_style}
        style = styles.get(name)
        if style is None:
            variables = self.app.theme_variables
            if name in GROUNDS:
                ground = Style(bgcolor=Color.parse(variables[GROUNDS[name]]).rich_color)
                style = styles[""] + ground
            else:
                variable, attributes = INKS[name]
                style = Style.parse(attributes) + Style(color=Color.parse(variables[variable]).rich_color)
            styles[name] = style
        return style

    def strip_of(self, line: Line, width: int, base: str = "") -> Strip:
        """A line as a strip of exactly `width` cells, over the ink `base`."""
        under = self.ink(base)
        segments = [Segment(text, under + self.ink(name) if name else under) for text, name in line]
        return Strip(segments).adjust_cell_length(width, under)


def spread(left: list[Span], right: list[Span], width: int) -> Line:
    """Two groups at the ends of a line of `width` cells; the right one goes when there is no room for both."""
    used = sum(cell_len(text) for text, _ in left)
    wanted = sum(cell_len(text) for text, _ in right)
    if used + wanted + 1 > width:
        return clip(left, width)
    return (*left, (" " * (width - used - wanted), ""), *right)


def clip(spans: list[Span], width: int) -> Line:
    """Spans cut to `width` cells, the last one that doesn't fit with an ellipsis."""
    out: list[Span] = []
    for text, name in spans:
        size = cell_len(text)
        if size > width:
            if width > 0:
                out.append((fit(text, width), name))
            break
        out.append((text, name))
        width -= size
    return tuple(out)
