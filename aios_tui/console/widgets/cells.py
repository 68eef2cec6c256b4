"""Text in terminal cells: fitted to an exact width, and wrapped.

Terminals disagree about emoji built from several characters (joined families, flags, skin tones, variation
selectors): some draw one glyph of two cells, some each part. A column must be straight in all of them, so `plain`
reduces such a sequence to what all agree on: its first emoji, or a flag's two letters. Invisible format characters go,
and at most two combining marks stay on a character.

Right-to-left text: its letters keep their order here, as do all columns. A terminal that reorders by itself (VTE,
Konsole, mlterm can) may turn the right-to-left run around, and only that run when Latin text stands before and behind
it; bidi controls, which could reorder more, have been replaced by the sanitiser. Free text therefore stands in the last
column.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size

from engine.sanitise import sanitise

__all__ = ["cell_len", "fit", "plain", "wrap", "wrap_tail"]

ELLIPSIS = "…"
MAX_MARKS = 2
_WORD = re.compile(r"\s*\S+|\s+$")
_JOINER = "\u200d"
_FIRST_FLAG, _LAST_FLAG = "\U0001f1e6", "\U0001f1ff"


def _is_emoji_part(character: str) -> bool:
    return ord(character) >= 0x2190


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or character >= "\U000e0000"


def _is_skin_tone(character: str) -> bool:
    return "\U0001f3fb" <= character <= "\U0001f3ff"


def _reduced(text: str) -> Iterator[str]:
    """Yield the characters of `text` without those whose width terminals disagree about."""
    marks, joined, begun = 0, False, False
    for character in text:
        if joined and _is_emoji_part(character):
            joined = False
            continue
        joined = character == _JOINER
        category = unicodedata.category(character)
        if category in ("Zl", "Zp", "Cc"):
            marks, begun = 0, True
            yield " "
        elif category == "Cf" or (begun and _is_skin_tone(character)):
            continue
        elif _FIRST_FLAG <= character <= _LAST_FLAG:
            marks, begun = 0, True
            yield chr(ord(character) - ord(_FIRST_FLAG) + ord("A"))
        elif get_character_cell_size(character) == 0:
            marks += 1
            if begun and marks <= MAX_MARKS and not _is_selector(character):
                yield character
        else:
            marks, begun = 0, True
            yield character


@lru_cache(maxsize=8_192)
def plain(text: str) -> str:
    """Return `text` on one line, without terminal control characters, and with a width all terminals agree on."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_reduced(sanitise(text)))


@lru_cache(maxsize=16_384)
def fit(text: str, width: int, right: bool = False) -> str:
    """Return `plain(text)` in exactly `width` cells: cut with an ellipsis, or padded.

    `right` aligns to the right.
    """
    if width <= 0:
        return ""
    text = plain(text)
    size = cell_len(text)
    if size > width:
        text = _cut(text, width - 1) + ELLIPSIS
        size = cell_len(text)
    gap = " " * (width - size)
    return gap + text if right else text + gap


def _cut(text: str, width: int) -> str:
    """Return as many characters from the start as fit into `width` cells."""
    if text.isascii():
        return text[:width]
    used = 0
    for index, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > width:
            return text[:index]
    return text


def wrap(text: str, width: int) -> list[str]:
    """Wrap `text` into lines of at most `width` cells, broken between words where possible. Newlines are kept."""
    if width <= 0:
        return []
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.extend(
            _wrap_paragraph(plain(paragraph) if len(paragraph) < 2_000 else "".join(_reduced(paragraph)), width)
        )
    return lines


def _wrap_paragraph(text: str, width: int) -> Iterator[str]:
    line, used = "", 0
    for found in _WORD.findall(text):
        word = found
        size = cell_len(word)
        if used + size <= width:
            line, used = line + word, used + size
            continue
        if found.isspace():
            continue
        if used:
            yield line
            word = found.lstrip()
        while cell_len(word) > width:
            head = _cut(word, width) or word[0]
            yield head
            word = word.removeprefix(head)
        line, used = word, cell_len(word)
    yield line


def wrap_tail(text: str, width: int, count: int, dropped: int = 0) -> list[str]:
    """Return the last `count` wrapped lines of a growing text, in time proportional to these lines, not to the text.

    `dropped` is how many characters have been cut from the text's start before. Wrapping begins at a position that
    moves in steps, so that the lines above stay the same while a stream grows.
    """
    if width <= 0 or count <= 0:
        return []
    text = text.rstrip()
    step = 512
    start = max(0, (dropped + len(text) - 2 * width * count) // step * step - dropped)
    if start:
        space = text.find(" ", start, start + 80)
        start = space + 1 if space >= 0 else start
    return wrap(text[start:], width)[-count:]
