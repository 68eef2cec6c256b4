"""Drawn lines: spans of text, each with the name of a style, and the widget that draws them.

Styles are looked up in the theme's variables and not through component classes: with two dozen of those on every drawn
widget, each change of focus cost several milliseconds of style matching.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from aios_tui.console.widgets.cells import cell_len, fit

Span = tuple[str, str]
"""Fitted text and the name of its style; an empty name is the widget's own style."""
Line = tuple[Span, ...]

STYLES: dict[str, tuple[str, str]] = {
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
"""Theme variable and text attributes by style name. None sets a background, so that the cursor shows through."""

BACKGROUNDS: dict[str, str] = {"cursor": "cursor", "cursor-blurred": "panel"}
"""Theme variable of the background by the name of a style for whole lines."""


class LineWidget(Widget):
    """A widget that draws lines of spans. Styles are looked up once after each change of theme or state."""

    _styles_by_name: dict[str, Style] | None = None

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_by_name = None

    def style_named(self, name: str) -> Style:
        """Return a style by its name; the empty name is the widget's own style, background included."""
        styles = self._styles_by_name
        if styles is None:
            styles = self._styles_by_name = {"": self.rich_style}
        style = styles.get(name)
        if style is None:
            variables = self.app.theme_variables
            if name in BACKGROUNDS:
                ground = Style(bgcolor=Color.parse(variables[BACKGROUNDS[name]]).rich_color)
                style = styles[""] + ground
            else:
                variable, attributes = STYLES[name]
                style = Style.parse(attributes) + Style(color=Color.parse(variables[variable]).rich_color)
            styles[name] = style
        return style

    def strip_of(self, line: Line, width: int, base: str = "") -> Strip:
        """Return a line as a strip of exactly `width` cells, over the style `base`."""
        under = self.style_named(base)
        segments = [Segment(text, under + self.style_named(name) if name else under) for text, name in line]
        return Strip(segments).adjust_cell_length(width, under)


def width_of(spans: Iterable[Span]) -> int:
    """Return the width of spans in cells."""
    return sum(cell_len(text) for text, _ in spans)


def clip(spans: list[Span], width: int) -> Line:
    """Cut spans to `width` cells; the first that doesn't fit ends with an ellipsis."""
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
