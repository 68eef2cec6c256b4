"""`aios-tui history metrics`: the numbers of the Metrics screen, for scripts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from aios_tui.cli.output import duration, print_json, print_line, print_note, table_lines
from aios_tui.reporting.history_metrics import Measure, Measures, measure
from engine.wording import plural

if TYPE_CHECKING:
    from persistence import History, RunRow

BUCKETS = 60
_COLUMNS = ("", "ended", "done", "failed", "cancelled", "queue", "waited p50", "p95", "per min", "tok/s", "busy")


async def measure_history(history: History, since: float | None, until: float | None) -> Measures | None:
    """Measure from `since`, by default one hour before `until`, to `until`, by default now. Raises StoreError."""
    until = time.time() if until is None else until
    since = until - 3600 if since is None else since
    newest = await history.runs(1)
    alive = bool(newest) and newest[0].ended_at is None and _is_running(newest[0])
    return measure(await history.activity(since, until, BUCKETS, alive=alive))


def _is_running(run: RunRow) -> bool:
    """Return True if the process that began `run` still exists; one with the same number but younger is another."""
    try:
        return psutil.Process(run.pid).create_time() <= run.started_at + 1
    except (psutil.Error, ValueError, OverflowError):
        return False


def print_measures(measures: Measures, *, as_json: bool) -> None:
    """Print a table, or one JSON object with every curve."""
    if as_json:
        print_json(measures.record())
        return
    span = duration(measures.until - measures.since)
    ran = f"the program ran for {duration(measures.running_s)} of {span}"
    print_note(f"{ran}; {plural(measures.slots, 'slot')} seen")
    rows = [_COLUMNS, _row("all", measures.all)]
    rows += [_row(f"priority {level}", one) for level, one in measures.by_priority.items()]
    for line in table_lines(rows):
        print_line(line)


def _row(name: str, one: Measure) -> tuple[str, ...]:
    totals = one.totals
    busy = totals["utilisation"]
    return (
        name,
        *(f"{count:,}" for count in (one.ended, one.done, one.failed, one.cancelled)),
        _format_number(totals["queue"]),
        duration(totals["waiting_p50_s"]),
        duration(totals["waiting_p95_s"]),
        _format_number(totals["throughput_per_min"]),
        _format_number(totals["tokens_per_s"]),
        "-" if busy is None else f"{busy:.0%}",
    )


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
