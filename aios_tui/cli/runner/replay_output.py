"""Print and write the results of replays."""

from __future__ import annotations

import sys
from pathlib import Path

from aios_tui.cli.output import Output
from aios_tui.reporting.results import Results


def write_report(folder: Path, results: Results, out: Output) -> None:
    """Write the report's files into `folder`, and print where. Raises UsageError."""
    from aios_tui.reporting import folder as report_folder

    missing = report_folder.write_report(folder, results)
    if missing:
        out.note(missing)
    out.note(f"report: {folder / 'report.md'}")


def print_results(results: Results, out: Output, *, as_json: bool) -> None:
    """Print report.json, or a table, with plots if stdout is a terminal."""
    if as_json:
        from aios_tui.reporting.folder import report_text

        out.print(report_text(results).rstrip())
        return
    from aios_tui.reporting.table import text_table

    for line in text_table(results):
        out.print(line)
    incomplete = [result.name for result in results.results if not result.complete]
    if incomplete:
        out.print(f"incomplete: {', '.join(incomplete)}; no value is marked as the better one")
    elif len(results.results) > 1:
        out.print("* the better value")
    if sys.stdout is not None and sys.stdout.isatty():
        from aios_tui.reporting.terminal import plots

        if drawn := plots(results):
            out.print_plot(drawn)
