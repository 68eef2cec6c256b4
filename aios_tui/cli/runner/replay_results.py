"""Print and write the results of replays."""

from __future__ import annotations

import sys
from pathlib import Path

from aios_tui.cli.output import print_line, print_note, print_plot
from aios_tui.reporting.results import Results


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
    if sys.stdout is not None and sys.stdout.isatty():
        from aios_tui.reporting.terminal import plots

        if drawn := plots(results):
            print_plot(drawn)
