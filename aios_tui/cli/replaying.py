"""A replay from first to last: find the workload, run it under each policy, keep the runs, tell of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from aios_tui.cli.exits import FAILED, WELL
from aios_tui.cli.output import Output
from aios_tui.reporting.results import Result, Results
from aios_tui.settings import Settings
from aios_tui.workload_files import find_workload
from engine.errors import StoreError
from engine.scheduling import Policy
from persistence import SqliteStore


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be replayed, and how, as the command line said it."""

    workload: str
    policies: tuple[Policy, ...]
    settings: Settings
    virtual: bool = False
    speed: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    prefill: float | None = None
    decode: float | None = None
    calibrate: str | None = None
    loads: dict[str, float] = field(default_factory=dict)
    switches: bool = False
    report: Path | None = None
    as_json: bool = False
    keep: bool = True
    model_given: bool = False


async def run_replay(plan: Plan) -> int:
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
            from aios_tui.cli.replay_virtual import run_virtual

            results, code = await run_virtual(plan, path, out)
        else:
            from aios_tui.cli.replay_live import run_live

            results, code = await run_live(plan, path, out)
    if results is None:
        return code
    tell(plan, results, out)
    return code or (FAILED if results.failed else WELL)


def tell(plan: Plan, results: Results, out: Output) -> None:
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


async def keep_virtual(plan: Plan, results: Results, out: Output) -> None:
    """Keep the runs in the history; when another program has it, say so and go on."""
    store = SqliteStore(plan.settings.db, program="replay")
    try:
        await store.open()
        try:
            kept = await keep(store, results.workload, results.results)
        finally:
            await store.close()
    except StoreError as error:
        out.say(f"the runs are not kept: {error}")
        return
    tell_kept(kept, out)


async def keep(store: SqliteStore, workload: str, results: Iterable[Result], core: str | None = None) -> list[int]:
    """Keep `results`; returns their ids. Raises StoreError."""
    from aios_tui.reporting.keeping import new_replay

    at = time.time()
    return [await store.keep_replay(new_replay(workload, result, at=at, core=core)) for result in results]


def tell_kept(ids: list[int], out: Output) -> None:
    if ids:
        told = ", ".join(map(str, ids))
        out.say(f"kept as run{'' if len(ids) == 1 else 's'} {told}; see `aios-tui runs`")
