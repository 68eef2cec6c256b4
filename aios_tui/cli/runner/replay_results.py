"""Save, print and write the results of replays."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from aios_tui.cli.output import are_terminals, print_line, print_note, print_plot
from aios_tui.reporting.results import Result, Results
from aios_tui.reporting.run_store import new_replay
from engine.errors import StoreError
from engine.wording import plural
from persistence import SqliteStore


async def keep_virtual(store: SqliteStore, results: Results) -> None:
    """Open `store` and save virtual runs; print a message when another program has the history open."""
    try:
        await store.open()
        try:
            await keep_runs(store, results.workload, results.results)
        finally:
            await store.close()
    except StoreError as error:
        print_note(f"the runs are not saved: {error}")


async def keep_runs(store: SqliteStore, workload: str, results: Iterable[Result], core: str | None = None) -> None:
    """Save `results` in an open store, and print their ids. Raises StoreError."""
    at = time.time()
    ids = [await store.keep_replay(new_replay(workload, result, at=at, core=core)) for result in results]
    print_note(f"{plural(len(ids), 'run')} saved, id {', '.join(map(str, ids))}; see `aios-tui runs`")


def write_report(folder: Path, results: Results) -> None:
    """Write the report's files into `folder`, and print where. Raises UsageError."""
    from aios_tui.reporting import folder as report_folder

    missing = report_folder.write_report(folder, results)
    if missing:
        print_note(missing)
    print_note(f"report: {folder / 'report.md'}")


def print_results(results: Results, *, as_json: bool) -> None:
    """Print report.json, or a table, with plots if stdout is a terminal."""
    if as_json:
        from aios_tui.reporting.folder import report_text

        print_line(report_text(results).rstrip())
        return
    from aios_tui.reporting.table import text_table

    for line in text_table(results):
        print_line(line)
    incomplete = [result.name for result in results.results if not result.complete]
    if incomplete:
        print_line(f"incomplete: {', '.join(incomplete)}; no value is marked as the better one")
    elif len(results.results) > 1:
        print_line("* the better value")
    if are_terminals(sys.stdout):
        from aios_tui.reporting.terminal import plots

        if drawn := plots(results):
            print_plot(drawn)
