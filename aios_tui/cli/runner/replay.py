"""A replay from first to last: find the workload, run it under each policy, keep the runs, tell of them."""

from __future__ import annotations

import sys
from pathlib import Path

from aios_tui.cli.exit_codes import FAILED, WELL
from aios_tui.cli.output import Output
from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.reporting.results import Results
from aios_tui.workloads.files import find_workload


async def run_replay(plan: ReplayPlan) -> int:
    """Carry the plan out. Returns the exit code.

    Raises:
        AiosError: nothing was run, or the report could not be written; the line says why.
    """
    if plan.report is not None:
        from aios_tui.reporting.folder import prepare

        prepare(plan.report)
    out = Output()
    with find_workload(plan.workload, plan.settings.workloads_folder) as path:
        if plan.virtual:
            from aios_tui.cli.runner.replay_virtual import run_virtual

            results, code = await run_virtual(plan, path, out)
        else:
            from aios_tui.cli.runner.replay_live import run_live

            results, code = await run_live(plan, path, out)
    if results is None:
        return code
    tell(plan, results, out)
    return code or (FAILED if results.failed else WELL)


def tell(plan: ReplayPlan, results: Results, out: Output) -> None:
    """Write the report's folder, and print the table or the JSON."""
    if plan.report is not None:
        write(plan.report, results, out)
    show(results, out, as_json=plan.as_json)


def write(folder: Path, results: Results, out: Output) -> None:
    """Write the report's folder, and say where it is."""
    from aios_tui.reporting.folder import write_report

    missing = write_report(folder, results)
    if missing:
        out.say(missing)
    out.say(f"report: {folder / 'report.md'}")


def show(results: Results, out: Output, *, as_json: bool) -> None:
    """Print report.json, or the table, and plots where it is a terminal that reads."""
    if as_json:
        from aios_tui.reporting.folder import report_text

        out.line(report_text(results).rstrip())
        return
    from aios_tui.reporting.table import text_table

    for line in text_table(results):
        out.line(line)
    broken = [result.name for result in results.results if not result.complete]
    if broken:
        out.line(f"broken off: {', '.join(broken)}; no value is marked as the better one")
    elif len(results.results) > 1:
        out.line("* the better value")
    if sys.stdout is not None and sys.stdout.isatty():
        from aios_tui.reporting.terminal import plots

        if drawn := plots(results):
            out.plot(drawn)
