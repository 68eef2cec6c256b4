"""A last line of defence: removes terminal control characters from everything that is drawn."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from engine.sanitise import sanitise


class PrintableOnly(LineFilter):
    """Replaces control, bidi and tag characters in every drawn line; Textual's own control segments pass."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment
            if segment.control or segment.text.isprintable()
            else Segment(_plain(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def _plain(text: str) -> str:
    return sanitise(text).replace("\n", " ").replace("\t", " ")
