"""Lines of labelled fields. A field that does not fit moves to the next line or is left out; numbers are never cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aios_tui.console.widgets.cells import cell_len, fit, plain
from aios_tui.console.widgets.styled_lines import Line, Span, clip, width_of

GAP = "  "
LABEL = 9

Field = tuple[Span, ...]
"""Spans that are kept together, such as a number and its unit."""


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A line and its rank. Lines of the highest rank are dropped first; within a rank, the last one."""

    rank: int
    line: Line


def field(text: str, style: str = "") -> Field:
    """Return a field of one style."""
    return ((text, style),)


def fill(spans: Sequence[Span], fields: Sequence[Field], width: int) -> list[Span]:
    """Append as many fields to the spans as fit into the line, in order; drop the rest."""
    line, used = list(spans), width_of(spans)
    for one in fields:
        needed = len(GAP) + width_of(one)
        if used + needed > width:
            break
        line += [(GAP, ""), *one]
        used += needed
    return line


def flow(head: Sequence[Span], fields: Sequence[Field], width: int, indent: int = LABEL) -> list[Line]:
    """Lay fields in as many lines as they need, the first after `head`. A field wider than a line is cut."""
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
    """Lay fields after a label."""
    return flow([(fit(label, LABEL), "title")], fields, width)


def cut(text: str, width: int) -> str:
    """Cut a text to at most `width` cells, with an ellipsis if it was longer."""
    text = plain(text)
    return text if cell_len(text) <= width else fit(text, width)


def entries(lines: Sequence[Line], first: int, more: int) -> list[FieldEntry]:
    """Rank lines: the first with one rank, the others with another."""
    return [FieldEntry(more if n else first, line) for n, line in enumerate(lines)]


def choose(found: Sequence[FieldEntry], room: int) -> list[FieldEntry]:
    """Return the `room` entries of the lowest ranks, in order."""
    if len(found) <= room:
        return list(found)
    best = sorted(range(len(found)), key=lambda n: (found[n].rank, n))[: max(0, room)]
    return [found[n] for n in sorted(best)]
