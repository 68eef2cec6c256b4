"""A paste arrives as one paste, whatever it contains.

A terminal puts `ESC [ 200 ~` before a pasted text and `ESC [ 201 ~` after it. Textual's parser takes any other escape
character in between for the start of a key's sequence and reports the rest as keys, enter among them: pasted text would
submit tasks. Textual has no public hook before its parser, so this module replaces the parser class that the driver
looks up in its own module when it starts. Escape characters inside a paste are replaced before the parser sees them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from textual._xterm_parser import XTermParser
from textual.message import Message

BEGIN, END = "\x1b[200~", "\x1b[201~"
ESCAPE, REPLACEMENT = "\x1b", "\ufffd"
DRIVER = "textual.drivers.win32" if sys.platform == "win32" else "textual.drivers.linux_driver"
"""The module that creates the parser, on this platform."""


class PasteParser(XTermParser):
    """Textual's parser, which sees no escape character within a paste. A mark may be split between two reads."""

    def __init__(self, debug: bool = False) -> None:
        self._pasting = False
        self._partial_mark = ""  # the end of the last read, if a mark may have begun there
        super().__init__(debug)

    def feed(self, data: str) -> Iterable[Message]:
        if not data:  # the end of the input
            yield from super().feed(data)
        elif clean := self._clean(data):
            yield from super().feed(clean)

    def _clean(self, data: str) -> str:
        """Replace escapes inside pastes. The beginning of an end mark is held back until the rest of it is there."""
        parts: list[str] = []
        while data:
            if self._pasting:
                inside, mark, data = (self._partial_mark + data).partition(END)
                self._partial_mark = "" if mark else _start_of_mark(inside, END)
                kept = inside.removesuffix(self._partial_mark) if self._partial_mark else inside
                parts += [kept.replace(ESCAPE, REPLACEMENT), mark]
                self._pasting = not mark
            else:
                seen = self._partial_mark
                _, mark, rest = (seen + data).partition(BEGIN)
                parts.append(data[: len(data) - len(rest)] if mark else data)
                self._partial_mark = "" if mark else _start_of_mark(seen + data, BEGIN)
                self._pasting = bool(mark)
                data = rest
        return "".join(parts)


def _start_of_mark(text: str, mark: str) -> str:
    """Return the longest end of `text` that `mark` begins with."""
    return next((mark[:n] for n in range(len(mark) - 1, 0, -1) if text.endswith(mark[:n])), "")


@contextmanager
def pastes_without_escapes() -> Iterator[None]:
    """Make Textual's driver parse with a PasteParser."""
    driver = importlib.import_module(DRIVER).__dict__
    before = driver["XTermParser"]
    driver["XTermParser"] = PasteParser
    try:
        yield
    finally:
        driver["XTermParser"] = before
