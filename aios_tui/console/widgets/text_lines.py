"""A text of any length as lines: Markdown or plain, laid out once for a width, off the event loop when it is long.

Only the lines in view are drawn, and a reply of 100 KB is one widget: Textual's own Markdown makes a widget of each
block, which took 4.5 s of CPU for such a reply, and 3.8 s for a list of 200 items.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from typing import ClassVar, Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.style import Style
from rich.text import Text
from rich.theme import Theme as RichTheme
from textual import work
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from aios_tui.console.widgets.cells import plain

log = logging.getLogger(__name__)

Kind = Literal["markdown", "plain"]
SHORT = 4_096
"""Longest text, in characters, that is laid out on the event loop: some 20 ms."""
LONGEST_MARKDOWN = 200_000
"""Longest text, in characters, that is read as Markdown; longer ones are shown plain."""


class _Heading(Heading):
    """A heading at the left, without frame and centring."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Code(CodeBlock):
    """Code on its own background, in one colour: lexers are slow, and hostile text can make them slower."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        style = console.get_style("markdown.code_block")
        yield Padding(Text(str(self.text).rstrip("\n"), style=style), (0, 1), style=style)


class _Reply(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
    }


def lay_out(text: str, width: int, kind: Kind, colours: dict[str, str]) -> list[Strip]:
    """Return the lines of a text, each at most `width` cells. Any text is accepted; bad Markdown is plain text."""
    text = "\n".join(plain(line) for line in text.expandtabs(4).split("\n"))
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        theme=_rich_theme(colours),
    )
    options = console.options.update(width=width, height=None)
    if kind == "markdown" and len(text) <= LONGEST_MARKDOWN:
        try:
            lines = console.render_lines(_Reply(text, hyperlinks=False), options, pad=False)
            return _trimmed([Strip(line) for line in lines])
        except Exception:  # whatever a model writes must be readable; the parser is not ours
            log.exception("a reply could not be laid out as Markdown")
    return list(_plain_lines(text.split("\n"), console, options))


def _plain_lines(lines: list[str], console: Console, options: ConsoleOptions) -> Iterator[Strip]:
    """Yield wrapped lines, in batches: Rich takes quadratic time for a text of many lines."""
    for first in range(0, len(lines), 400):
        text = Text("\n".join(lines[first : first + 400]), overflow="fold")
        for line in console.render_lines(text, options, pad=False):
            yield Strip(line)


def _trimmed(lines: list[Strip]) -> list[Strip]:
    """Remove the blank lines that Markdown puts before and after some blocks."""
    full = [number for number, line in enumerate(lines) if line.text.strip()]
    return lines[full[0] : full[-1] + 1] if full else []


def _rich_theme(colours: dict[str, str]) -> RichTheme:
    primary, muted, accent = colours["primary"], colours["muted"], colours["accent"]
    code = Style(color=colours["success"], bgcolor=colours["panel"])
    styles: dict[str, Style] = {
        "markdown.h1": Style(color=primary, bold=True, underline=True),
        "markdown.h2": Style(color=primary, bold=True),
        "markdown.item.bullet": Style(color=accent, bold=True),
        "markdown.item.number": Style(color=accent, bold=True),
        "markdown.code": code,
        "markdown.code_block": code,
        "markdown.block_quote": Style(color=muted, italic=True),
        "markdown.hr": Style(color=muted),
        "markdown.link": Style(color=colours["secondary"]),
        "markdown.link_url": Style(color=muted, underline=True),
        "markdown.table.border": Style(color=muted),
        "markdown.table.header": Style(color=primary, bold=True),
    }
    styles.update({f"markdown.h{level}": Style(bold=True) for level in range(3, 7)})
    return RichTheme(styles)


class TextLines(Widget):
    """Shows a text of any length, as Markdown or plain. The text is untrusted; it is never read as Textual markup."""

    DEFAULT_CSS = """
    TextLines { height: auto; width: 1fr; }
    """

    def __init__(self, text: str, *, kind: Kind = "plain", id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._text = text
        self._kind: Kind = kind
        self._strips: list[Strip] = []
        self._width = 0
        self._wanted = 0

    @property
    def text(self) -> str:
        """The text shown."""
        return self._text

    def update(self, text: str) -> None:
        """Show another text."""
        if text != self._text:
            self._text = text
            self._lay_out(self._width)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if width != self._width:
            self._lay_out(width)
        return max(1, len(self._strips))

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        if y >= len(self._strips):
            return Strip.blank(self.size.width, style)
        return self._strips[y].adjust_cell_length(self.size.width, style).apply_style(style)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._lay_out(self._width))

    def on_resize(self) -> None:
        if self.size.width != self._width:  # the event's size has the padding in it
            self._lay_out(self.size.width)

    def _lay_out(self, width: int) -> None:
        """Lay out for a width: a short text at once, a long one in a thread; the last call wins."""
        if width < 1 or not self.is_attached:
            return
        self._width = width
        self._wanted += 1
        if len(self._text) <= SHORT:
            self._show(lay_out(self._text, width, self._kind, self.app.theme_variables))
        else:
            self._lay_out_in_thread()

    @work(exclusive=True, group="lines")
    async def _lay_out_in_thread(self) -> None:
        width, wanted = self._width, self._wanted
        colours = self.app.theme_variables
        strips = await asyncio.to_thread(lay_out, self._text, width, self._kind, colours)
        if wanted == self._wanted:
            self._show(strips)

    def _show(self, strips: list[Strip]) -> None:
        grown = len(strips) != len(self._strips)
        self._strips = strips
        self.refresh(layout=grown)
