"""`aios-tui history metrics`: the numbers of the Metrics screen, for scripts."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import psutil

from aios_tui.cli.output import duration
from aios_tui.reporting.history_metrics import Measure, Measures, measure

if TYPE_CHECKING:
    from aios_tui.cli.output import Output
    from persistence import History, RunRow

BUCKETS = 60
_COLUMNS = ("", "ended", "done", "failed", "cancelled", "queue", "waited p50", "p95", "per min", "tok/s", "busy")


async def look(found: History, since: float | None, until: float | None) -> Measures | None:
    """Measure from `since`, an hour ago without it, to `until`, now without it. Raises StoreError."""
    until = time.time() if until is None else until
    since = until - 3600 if since is None else since
    newest = await found.runs(1)
    alive = bool(newest) and newest[0].ended_at is None and _runs(newest[0])
    return measure(await found.activity(since, until, BUCKETS, alive=alive))


def _runs(run: RunRow) -> bool:
    """Whether the process that began the run is still there: one of its number, and not a younger one."""
    try:
        return psutil.Process(run.pid).create_time() <= run.started_at + 1
    except (psutil.Error, ValueError, OverflowError):
        return False


def show(out: Output, found: Measures, *, as_json: bool) -> None:
    """Print a table, or one JSON object with every curve."""
    if as_json:
        out.line(json.dumps(found.record()))
        return
    slots = f"{found.slots} slot{'' if found.slots == 1 else 's'} seen"
    span = found.until - found.since
    out.say(f"of {duration(span)} a program ran for {duration(found.running_s)}; {slots}")
    rows = [_COLUMNS, _row("all", found.all)]
    rows += [_row(f"priority {level}", one) for level, one in found.by_priority.items()]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        out.line("  ".join([row[0].ljust(widths[0]), *cells[1:]]))


def _row(name: str, one: Measure) -> tuple[str, ...]:
    totals = one.totals
    busy = totals["utilisation"]
    return (
        name,
        *(f"{count:,}" for count in (one.ended, one.done, one.failed, one.cancelled)),
        _number(totals["queue"]),
        duration(totals["waiting_p50_s"]),
        duration(totals["waiting_p95_s"]),
        _number(totals["throughput_per_min"]),
        _number(totals["tokens_per_s"]),
        "-" if busy is None else f"{busy:.0%}",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
