"""Pastes arrive as pastes, whatever is in them.

A terminal puts `ESC [ 200 ~` before what is pasted and `ESC [ 201 ~` behind it. Textual's parser takes any other escape
character in between for the start of a key's sequence, and tells what follows it as keys, enter among them: pasted text
would submit tasks. Here such a character is replaced before the parser sees it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from textual._xterm_parser import XTermParser
from textual.message import Message

BEGIN, END = "\x1b[200~", "\x1b[201~"
ESCAPE, SHOWN = "\x1b", "\ufffd"
DRIVER = "textual.drivers.win32" if sys.platform == "win32" else "textual.drivers.linux_driver"
"""The module that makes the parser, on this platform."""


class PasteParser(XTermParser):
    """Textual's parser, which sees no escape character within a paste. Marks may be cut anywhere between two reads."""

    def __init__(self, debug: bool = False) -> None:
        self._pasting = False
        self._before = ""  # the end of what went by: a mark may have begun there
        super().__init__(debug)

    def feed(self, data: str) -> Iterable[Message]:
        if not data:  # the end of the input
            yield from super().feed(data)
        elif clean := self._clean(data):
            yield from super().feed(clean)

    def _clean(self, data: str) -> str:
        """What the parser is given of a read; the beginning of an end mark is held back until the rest is there."""
        parts: list[str] = []
        while data:
            if self._pasting:
                inside, mark, data = (self._before + data).partition(END)
                self._before = "" if mark else _begun(inside, END)
                kept = inside.removesuffix(self._before) if self._before else inside
                parts += [kept.replace(ESCAPE, SHOWN), mark]
                self._pasting = not mark
            else:
                seen = self._before
                _, mark, rest = (seen + data).partition(BEGIN)
                parts.append(data[: len(data) - len(rest)] if mark else data)
                self._before = "" if mark else _begun(seen + data, BEGIN)
                self._pasting = bool(mark)
                data = rest
        return "".join(parts)


def _begun(text: str, mark: str) -> str:
    """The longest end of a text that a mark may begin with."""
    return next((mark[:n] for n in range(len(mark) - 1, 0, -1) if text.endswith(mark[:n])), "")


@contextmanager
def whole_pastes() -> Iterator[None]:
    """Have Textual's driver parse with a PasteParser; it looks the class up in its module when it starts."""
    driver = importlib.import_module(DRIVER).__dict__
    before = driver["XTermParser"]
    driver["XTermParser"] = PasteParser
    try:
        yield
    finally:
        driver["XTermParser"] = before
