"""`aios-tui runs …`: saved replays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aios_tui.cli.exit_codes import CommandFailed
from aios_tui.cli.history_access import read_history
from aios_tui.cli.options import json_option, load_settings, settings_options
from aios_tui.cli.output import duration, local_time, print_json, print_line, print_note
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.reporting.results import Results
    from persistence import History, ReplayDetail, ReplayRow

_ids_argument = click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)


@click.group(invoke_without_command=True)
@settings_options("config", "db")
@click.pass_context
def runs(ctx: click.Context, /) -> None:
    """List, show, compare or delete saved replays. Without a subcommand, list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_runs)


@runs.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, metavar="N", help="At most N runs; 50 by default.")
@json_option("Print one JSON line per run.")
@settings_options("config", "db")
def list_runs(limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    rows: Sequence[ReplayRow] = read_history(lambda history: history.replays(limit), [])
    if not as_json and rows:
        print_line(f"{'id':>5}  {'when':<16}  {'mode':<7}  {'tasks':>9}  {'waiting':>9}  {'policy':<16}  workload")
    for row in rows:
        if as_json:
            print_json(row.model_dump())
        else:
            print_line(_format_row(row))
    if not rows:
        print_note("no run is saved")


@runs.command()
@_ids_argument
@click.option("--report", type=Path, metavar="DIR", help="Write report.md, report.json, tasks.csv and figures to DIR.")
@json_option("Print report.json in place of the table.")
@settings_options("config", "db")
def show(ids: tuple[int, ...], report: Path | None, as_json: bool) -> None:
    """Print runs again, several side by side, or write their report. Exit code 1 when a run does not exist."""
    if len(set(ids)) < len(ids):
        raise click.UsageError("the same run is named twice")

    async def query(history: History) -> list[ReplayDetail | None]:
        return [await history.replay(run_id) for run_id in ids]

    none: list[ReplayDetail | None] = []
    details = [detail for detail in read_history(query, none) if detail is not None]
    _check_found(ids, [detail.row.id for detail in details])
    from aios_tui.cli.runner.replay_results import print_results, write_report

    results = _gather_results(details)
    if report is not None:
        write_report(report, results)
    print_results(results, as_json=as_json)


@runs.command()
@_ids_argument
@settings_options("config", "db")
def delete(ids: tuple[int, ...]) -> None:
    """Delete runs. The tasks of live ones stay in the history. Exit code 1 when a run does not exist."""
    path = load_settings().settings.db
    if not path.exists():
        raise click.UsageError(f"no history at {path}")
    deleted = asyncio.run(_delete(path, ids))
    if deleted:
        print_note(f"{len(deleted)} deleted")
    _check_found(ids, deleted)


def _check_found(ids: Sequence[int], found: Sequence[int]) -> None:
    """Raise CommandFailed for those of `ids` that were not found."""
    missing = [str(run_id) for run_id in ids if run_id not in found]
    if missing:
        raise CommandFailed(f"there is no run {', '.join(missing)}; `aios-tui runs list` lists them")


async def _delete(path: Path, ids: Sequence[int]) -> list[int]:
    """Delete the runs, and return the ids of those that existed. Raises StoreError."""
    from persistence import SqliteStore

    store = SqliteStore(path, program="runs")
    await store.open()
    try:
        return [run_id for run_id in ids if await store.delete_replay(run_id)]
    finally:
        await store.close()


def _gather_results(details: list[ReplayDetail]) -> Results:
    """Measure saved runs. Raises UsageError for a damaged one."""
    from aios_tui.reporting.results import gather
    from engine.errors import UsageError
    from engine.replay.codec import unpack

    found = []
    for detail in details:
        try:
            found.append((unpack(detail.columns), detail.row.complete))
        except UsageError as error:
            raise UsageError(f"run {detail.row.id}: {error}") from None
    names = list(dict.fromkeys(detail.row.workload for detail in details))
    notes = [] if len(names) == 1 else ["these runs are of different workloads"]
    return gather(", ".join(names), found, notes)


def _format_row(row: ReplayRow) -> str:
    overall = row.metrics.get("overall")
    waiting = overall.get("waiting") if isinstance(overall, dict) else None
    mean = waiting.get("mean") if isinstance(waiting, dict) else None
    mean_wait = duration(float(mean) if isinstance(mean, int | float) else None)
    incomplete = "" if row.complete else "  (incomplete)"
    return (
        f"{row.id:>5}  {local_time(row.at):<16}  {row.mode:<7}  {row.tasks:>9,}  {mean_wait:>9}"
        f"  {one_line(row.policy, 16):<16}  {one_line(row.workload, 60)}{incomplete}"
    )
