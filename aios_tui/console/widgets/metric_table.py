"""The metrics of a span by priority, as a table."""

from __future__ import annotations

from textual.content import Content

from aios_tui.console.widgets.metric_plots import format_value
from aios_tui.reporting.history_metrics import Measure, Measures

_COLUMNS = ("pri", "ended", "failed", "queue", "p50", "p95", "/min", "tok/s", "busy")
_TOTALS = ("queue", "waiting_p50_s", "waiting_p95_s", "throughput_per_min", "tokens_per_s", "utilisation")


def by_priority(found: Measures) -> Content:
    """Return a row for all tasks, then one per priority."""
    rows = [_row("all", found.all), *(_row(str(level), one) for level, one in found.by_priority.items())]
    widths = [max(len(row[place]) for row in (_COLUMNS, *rows)) for place in range(len(_COLUMNS))]
    lines = [Content.styled(_line(_COLUMNS, widths), "$muted")]
    lines += [Content.styled(_line(row, widths), "bold" if row[0] == "all" else "") for row in rows]
    return Content("\n").join(lines)


def _row(name: str, one: Measure) -> tuple[str, ...]:
    return (name, f"{one.ended:,}", f"{one.failed:,}", *(format_value(each, one.totals[each]) for each in _TOTALS))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return " ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
