"""Columns of lists: choose those that fit, and their widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column. Widths are in cells.

    Attributes:
        drops: the order in which columns are dropped when there is no room, 1 first; 0 is never dropped.
        from_width: least width of a list that shows it.
        wide: the width up to which it may grow, the last column before all others; the last also takes what is left.
    """

    id: str
    title: str
    width: int
    drops: int = 0
    wide: int = 0
    right: bool = False
    from_width: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A column that fits, with its width; `last` has no gap after it."""

    column: Column
    width: int
    last: bool


def place(columns: Sequence[Column], width: int) -> tuple[Placed, ...]:
    """Choose and size columns for `width` cells; with gaps, the widths add up to it exactly."""
    width = max(0, width)
    shown = [column for column in columns if width >= column.from_width]
    while _needed(shown) > width:
        droppable = [column for column in shown if column.drops]
        if not droppable:
            break
        shown.remove(min(droppable, key=lambda column: column.drops))
    spare = width - _needed(shown)
    spare -= min(spare, max(0, shown[-1].wide - shown[-1].width))
    placed: list[Placed] = []
    for column in shown[:-1]:
        grown = min(max(0, column.wide - column.width), max(0, spare))
        spare -= grown
        placed.append(Placed(column, column.width + grown, last=False))
    used = sum(item.width + GAP for item in placed)
    return (*placed, Placed(shown[-1], max(0, width - used), last=True))


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)
