"""Lines of labelled fields: one that does not fit goes on in the next line or is left out, never cut in a number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aios_tui.console.widgets.cells import cell_len, fit, plain
from aios_tui.console.widgets.styled_lines import Line, Span, clip

GAP = "  "
LABEL = 9

Field = tuple[Span, ...]
"""What stays together, such as a number and its unit."""


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A line, and its rank: where there is no room, lines of the highest rank go first, of one rank the last one."""

    rank: int
    line: Line


def field(text: str, ink: str = "") -> Field:
    """A field of one ink."""
    return ((text, ink),)


def width_of(spans: Iterable[Span]) -> int:
    """The cells that spans take."""
    return sum(cell_len(text) for text, _ in spans)


def fill(spans: Sequence[Span], fields: Sequence[Field], width: int) -> list[Span]:
    """As many fields after the spans as fit into the line, in their order; the rest is left out."""
    line, used = list(spans), width_of(spans)
    for one in fields:
        needed = len(GAP) + width_of(one)
        if used + needed > width:
            break
        line += [(GAP, ""), *one]
        used += needed
    return line


def flow(head: Sequence[Span], fields: Sequence[Field], width: int, indent: int = LABEL) -> list[Line]:
    """The fields in as many lines as they need, the first one after `head`. One that is wider than a line is cut."""
    rows: list[list[Span]] = [list(head)]
    used, begun = width_of(head), False
    for one in fields:
        gap = GAP if begun else ""
        if begun and used + len(gap) + width_of(one) > width:
            rows.append([(" " * indent, "")])
            used, gap = indent, ""
        shown = clip(list(one), max(1, width - used))
        rows[-1] += [(gap, ""), *shown] if gap else shown
        used += len(gap) + width_of(shown)
        begun = True
    return [clip(row, width) for row in rows]


def lay(label: str, fields: Sequence[Field], width: int) -> list[Line]:
    """The same after a label."""
    return flow([(fit(label, LABEL), "title")], fields, width)


def cut(text: str, width: int) -> str:
    """A text in at most `width` cells, with an ellipsis where it was longer."""
    text = plain(text)
    return text if cell_len(text) <= width else fit(text, width)


def entries(lines: Sequence[Line], first: int, more: int) -> list[FieldEntry]:
    """The first line with one rank, those after it with another."""
    return [FieldEntry(more if n else first, line) for n, line in enumerate(lines)]


def choose(found: Sequence[FieldEntry], room: int) -> list[FieldEntry]:
    """The `room` entries of the lowest ranks, in their order."""
    if len(found) <= room:
        return list(found)
    best = sorted(range(len(found)), key=lambda n: (found[n].rank, n))[: max(0, room)]
    return [found[n] for n in sorted(best)]
