"""Format the comparison as a table: a column per run, the better value marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aios_tui.reporting.results import Results
from engine.replay.export import compared

MARK = "*"
ALIKE = 0.005
"""Values that differ by less than this share count as equal."""

_COMPACT = (
    "tasks",
    "done",
    "failed",
    "makespan s",
    "throughput /s",
    "utilisation",
    "waiting mean s",
    "waiting p50 s",
    "waiting p95 s",
    "waiting p99 s",
    "waiting max s",
    "turnaround mean s",
    "turnaround p95 s",
    "slowdown mean",
    "slowdown p95",
    "TTFT mean s",
    "TTFT p95 s",
    "oldest wait s",
    "inversions",
    "swaps",
    "Jain index",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One measure: a cell per run; `best` are the indices of the better ones, empty when all are equal."""

    label: str
    cells: tuple[str, ...]
    best: frozenset[int]


def lines(results: Results, *, compact: bool = False) -> list[Line]:
    """Return the table's lines; `compact` omits rare quantiles, measures that are 0 everywhere, and many clients.

    Next to an incomplete run no value is better: it did not have the same work.
    """
    rows = compared([result.metrics for result in results.results])
    if compact:
        known = {label: (label, values, best) for label, values, best in rows}
        chosen = [known[label] for label in _COMPACT if label in known and _is_informative(known[label][1], label)]
        rows = chosen + [row for row in rows if ", priority " in row[0]]
        clients = [row for row in known.values() if ", client " in row[0]]
        rows += clients if len(clients) <= 6 else []
    return [_line(label, values, best if results.complete else None) for label, values, best in rows]


def _line(label: str, values: Sequence[float | None], best: int | None) -> Line:
    """Mark values within ALIKE of the best, none where all are."""
    cells = _numbers(values)
    goal = values[best] if best is not None else None
    if goal is None:
        return Line(label, cells, frozenset())
    near = (value is not None and math.isclose(value, goal, rel_tol=ALIKE) for value in values)
    best_ones = frozenset(index for index, alike in enumerate(near) if alike)
    return Line(label, cells, best_ones if len(best_ones) < len(cells) else frozenset())


def _is_informative(values: Sequence[float | None], label: str) -> bool:
    if all(value is None for value in values):
        return False
    return label not in ("failed", "swaps") or any(values)


def _numbers(values: Sequence[float | None]) -> tuple[str, ...]:
    """Format values alike: whole only when all known values are whole."""
    whole = all(value is None or math.isnan(value) or value == int(value) for value in values)
    return tuple(number(value, whole=whole) for value in values)


def number(value: float | None, *, whole: bool = True) -> str:
    """Format with four significant digits; whole numbers as such if `whole`; a dash for an unknown value."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0" if whole else "0.000"
    if whole and value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}" if abs(value) >= 1e-4 else f"{value:.1e}"


def text_table(results: Results, *, compact: bool = True) -> list[str]:
    """Return aligned lines of text; `*` marks the better value."""
    rows = lines(results, compact=compact)
    names = [result.name for result in results.results]
    widths = [max(len(name), *(len(row.cells[index]) for row in rows)) for index, name in enumerate(names)]
    first = max(len(row.label) for row in rows)
    text = [" " * first + "".join(f"  {name:>{width}} " for name, width in zip(names, widths, strict=True))]
    for row in rows:
        cells = [
            f"  {cell:>{width}}{MARK if index in row.best else ' '}"
            for index, (cell, width) in enumerate(zip(row.cells, widths, strict=True))
        ]
        text.append(f"{row.label:<{first}}{''.join(cells)}")
    return [line.rstrip() for line in text]
