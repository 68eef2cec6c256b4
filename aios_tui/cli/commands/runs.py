"""`aios-tui runs …`: replays that were kept."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aios_tui.cli.exit_codes import FAILED, USAGE, WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.reporting.results import Results
    from persistence import ReplayDetail, ReplayRow


@click.group(invoke_without_command=True)
@common
@click.pass_context
def runs(ctx: click.Context, /) -> int:
    """List, show, compare or delete the replays that were kept; without a command, list them."""
    return WELL if ctx.invoked_subcommand is not None else ctx.invoke(list_)


@runs.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line a run.")
@common
@click.pass_context
def list_(ctx: click.Context, /, limit: int, as_json: bool) -> int:
    """The newest runs, newest first."""
    rows = _rows(ctx, limit)
    out = Output()
    if not as_json and rows:
        out.line(f"{'id':>5}  {'when':<16}  {'mode':<7}  {'tasks':>9}  {'waiting':>9}  {'policy':<16}  workload")
    for row in rows:
        out.line(json.dumps(row.model_dump(), ensure_ascii=False) if as_json else _line(row))
    if not rows:
        out.say("no run is kept")
    return WELL


@runs.command()
@click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)
@click.option("--report", type=Path, metavar="DIR", help="Write report.md, report.json, tasks.csv and figures there.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json in place of the table.")
@common
@click.pass_context
def show(ctx: click.Context, /, ids: tuple[int, ...], report: Path | None, as_json: bool) -> int:
    """Show runs again, several beside each other, and write their report."""
    if len(set(ids)) < len(ids):
        raise click.UsageError("a run stands there twice")
    settings = settings_of(ctx).settings
    out = Output()
    details = asyncio.run(_details(settings.db, ids))
    missing = [id_ for id_, detail in zip(ids, details, strict=True) if detail is None]
    if missing:
        out.say(f"aios-tui: there is no run {', '.join(map(str, missing))}; `aios-tui runs list` lists them")
        return USAGE
    from aios_tui.cli.runner.replay import show as show_results
    from aios_tui.cli.runner.replay import write

    results = _gathered([detail for detail in details if detail is not None])
    if report is not None:
        write(report, results, out)
    show_results(results, out, as_json=as_json)
    return WELL


@runs.command()
@click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)
@common
@click.pass_context
def delete(ctx: click.Context, /, ids: tuple[int, ...]) -> int:
    """Delete runs. The tasks of live ones stay in the history."""
    settings = settings_of(ctx).settings
    out = Output()
    if not settings.db.exists():
        out.say(f"no history yet: {settings.db}")
        return USAGE
    gone = asyncio.run(_delete(settings.db, ids))
    missing = [id_ for id_ in ids if id_ not in gone]
    if gone:
        out.say(f"{len(gone)} deleted")
    if missing:
        out.say(f"aios-tui: there is no run {', '.join(map(str, missing))}")
    return (FAILED if gone else USAGE) if missing else WELL


def _rows(ctx: click.Context, limit: int) -> list[ReplayRow]:
    loaded = settings_of(ctx)
    path = loaded.settings.db
    if "db" not in loaded.origins and not path.exists():
        return []

    async def read() -> list[ReplayRow]:
        from persistence import History

        async with History(path) as history:
            return await history.replays(limit)

    return asyncio.run(read())


async def _details(path: Path, ids: tuple[int, ...]) -> list[ReplayDetail | None]:
    from persistence import History

    async with History(path) as history:
        return [await history.replay(id_) for id_ in ids]


async def _delete(path: Path, ids: tuple[int, ...]) -> set[int]:
    from persistence import SqliteStore

    store = SqliteStore(path, program="runs")
    await store.open()
    try:
        return {id_ for id_ in ids if await store.delete_replay(id_)}
    finally:
        await store.close()


def _gathered(details: list[ReplayDetail]) -> Results:
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


def _line(row: ReplayRow) -> str:
    try:
        when = datetime.fromtimestamp(row.at).isoformat(" ", "minutes")
    except (ValueError, OverflowError, OSError):
        when = "?"
    waiting = _mean_wait(row)
    broken = "" if row.complete else "  (broken off)"
    return (
        f"{row.id:>5}  {when:<16}  {row.mode:<7}  {row.tasks:>9,}  {waiting:>9}  {one_line(row.policy, 16):<16}"
        f"  {one_line(row.workload, 60)}{broken}"
    )


def _mean_wait(row: ReplayRow) -> str:
    from aios_tui.cli.output import duration

    waiting = row.metrics.get("overall")
    found = waiting.get("waiting") if isinstance(waiting, dict) else None
    mean = found.get("mean") if isinstance(found, dict) else None
    return duration(float(mean) if isinstance(mean, int | float) else None)
