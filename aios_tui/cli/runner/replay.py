"""Run a replay: find the workload, run it under each policy, save the runs and print the results."""

from __future__ import annotations

from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.cli.runner.replay_results import print_results, write_report
from aios_tui.reporting.results import Results
from aios_tui.workloads.catalogue import find_workload


async def run_replay(plan: ReplayPlan) -> int:
    """Carry out `plan`. Returns the exit code.

    Raises:
        AiosError: nothing was run, or the report could not be written.
    """
    if plan.report is not None:
        from aios_tui.reporting.folder import prepare

        prepare(plan.report)
    results: Results | None
    with find_workload(plan.workload, plan.settings.workloads_folder) as path:
        if plan.virtual:
            from aios_tui.cli.runner.replay_virtual import run_virtual

            results, code = await run_virtual(plan, path)
        else:
            from aios_tui.cli.runner.replay_live import run_live

            results, code = await run_live(plan, path)
    if results is not None:
        if plan.report is not None:
            write_report(plan.report, results)
        print_results(results, as_json=plan.as_json)
    return code
