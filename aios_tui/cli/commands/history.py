"""`aios-tui history …`: read the history, also while a console owns it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.command_group import CommandGroup
from aios_tui.cli.exit_codes import USAGE, WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output, duration, task_line
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.task import TaskRecord
    from persistence import History, TaskDetail

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_STATES = ("queued", "running", "done", "failed", "cancelled")


def _moment_given(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A moment in Unix seconds: `2h` and `3d` are so long ago, `2026-11-22T14:00` is local unless it says otherwise."""
    if value is None:
        return None
    if ago := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", value):
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError):
        told = f"{one_line(value, 60)!r} is no moment: say 30m, 2h, 3d or 2026-11-22T14:00"
        raise click.BadParameter(told, ctx, param) from None


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--since", callback=_moment_given, metavar="TIME", help="Submitted since: 2h, 3d, 2026-11-22T14:00."
        ),
        click.option("--until", callback=_moment_given, metavar="TIME", help="Submitted before."),
        click.option("--client", metavar="NAME", help="Only tasks of this client."),
        click.option("--agent", metavar="AGENT", help="Only tasks of this agent."),
        click.option("--state", type=click.Choice(_STATES), help="Only tasks in this state."),
    ):
        command = option(command)
    return command


_json = click.option("--json", "as_json", is_flag=True, help="A JSON line a task.")
_limit = click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most."
)


@click.group(cls=CommandGroup)
@common
def history() -> None:
    """List, show, search or export past tasks."""


@history.command("list")
@_limit
@_filters
@_json
@common
@click.pass_context
def list_(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> int:
    """The newest tasks, newest first."""
    return _print_tasks(ctx, lambda found: found.list(limit, **_typed(filters)), as_json)


@history.command()
@click.argument("words", nargs=-1, required=True)
@_limit
@_json
@common
@click.pass_context
def search(ctx: click.Context, /, words: tuple[str, ...], limit: int, as_json: bool) -> int:
    """Tasks with all WORDS in prompt or result, the last one as a beginning; best first."""
    return _print_tasks(ctx, lambda found: found.search(" ".join(words), limit), as_json)


@history.command()
@click.argument("task", type=int)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with rounds and attempts.")
@common
@click.pass_context
def show(ctx: click.Context, /, task: int, as_json: bool) -> int:
    """All that is known of one task: prompt, replies, timings, attempts."""

    async def look(found: History) -> TaskDetail | None:
        return await found.show(task)

    detail = _read(ctx, look, None)
    out = Output()
    if detail is None:
        out.say(f"aios-tui: there is no task {task}")
        return USAGE
    if as_json:
        out.line(detail.model_dump_json())
    else:
        _print_detail(out, detail)
    return WELL


@history.command()
@_filters
@click.option("--output", type=Path, metavar="FILE", help="Into a new file, in place of stdout.")
@click.option("--workload", is_flag=True, help="Into --output FILE as a workload, to be replayed.")
@common
@click.pass_context
def export(ctx: click.Context, /, output: Path | None, workload: bool, **filters: Any) -> int:
    """Every such task as a JSON line, oldest first; or all of them as a workload."""
    out = Output()
    if workload:
        return _export_workload(ctx, output, _typed(filters))

    async def write(found: History) -> int:
        records = found.export(**_typed(filters))
        return await _into_file(records, output) if output else await _into(records, out.line)

    count = _read(ctx, write, 0)
    if output:
        out.say(f"{count} tasks written to {output}")
    return WELL


@history.command()
@click.option("--since", callback=_moment_given, metavar="TIME", help="From then on: 1h, the default, 3d, 2026-11-22.")
@click.option("--until", callback=_moment_given, metavar="TIME", help="Up to then; now if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with every curve.")
@common
@click.pass_context
def metrics(ctx: click.Context, /, since: float | None, until: float | None, as_json: bool) -> int:
    """Queue length, waiting, throughput, tokens/s and utilisation, in all and by priority."""
    from aios_tui.cli.commands import history_metrics

    if since is not None and since >= (time.time() if until is None else until):
        raise click.UsageError("--since must be before --until")
    found = _read(ctx, lambda found: history_metrics.look(found, since, until), None)
    if found is not None:
        history_metrics.show(Output(), found, as_json=as_json)
    return WELL


def _export_workload(ctx: click.Context, output: Path | None, filters: dict[str, Any]) -> int:
    if output is None:
        raise click.UsageError("--workload needs --output FILE: a workload is a file")
    if output.exists():
        raise click.UsageError(f"{output} is there already; choose a new file")
    from aios_tui.cli.commands.history_workload import write_workload

    count = _read(ctx, lambda found: write_workload(found, output, filters), None)
    if count is not None:
        Output().say(f"{count} tasks written to {output}; replay them with `aios-tui replay {output}`")
    return WELL


async def _into(records: AsyncIterator[TaskRecord], write: Callable[[str], object]) -> int:
    count = 0
    async for record in records:
        write(task_line(record))
        count += 1
    return count


async def _into_file(records: AsyncIterator[TaskRecord], path: Path) -> int:
    """A file of its own, readable by its owner alone: it holds prompts."""
    import os

    from engine.errors import UsageError

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            return await _into(records, lambda line: file.write(line + "\n"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


def _typed(filters: dict[str, Any]) -> dict[str, Any]:
    from engine.task import TaskState

    return {**filters, "state": TaskState(filters["state"]) if filters["state"] else None}


def _read(ctx: click.Context, ask: Callable[[History], Awaitable[Any]], nothing: Any) -> Any:
    """What `ask` finds in the history; `nothing` when there is none yet where it would be by default."""
    loaded = settings_of(ctx)
    path = loaded.settings.db
    if "db" not in loaded.origins and not path.exists():
        Output().say(f"no history yet: {path}")
        return nothing

    async def read() -> Any:
        from persistence import History

        async with History(path) as found:
            return await ask(found)

    return asyncio.run(read())


def _print_tasks(ctx: click.Context, ask: Callable[[History], Awaitable[Sequence[TaskRecord]]], as_json: bool) -> int:
    records: Sequence[TaskRecord] = _read(ctx, ask, ())
    out = Output()
    if not as_json and records:
        out.line(f"{'id':>6}  {'submitted':<16}  {'state':<9}  {'agent':<18}  pri  {'took':>8}  prompt")
    for record in records:
        out.line(task_line(record) if as_json else _row(record))
    if not records:
        out.say("no task found")
    return WELL


def _row(record: TaskRecord) -> str:
    took = duration(record.took_s)
    return (
        f"{record.id:>6}  {_moment(record.submitted_at)[:16]:<16}  {record.state:<9}  {one_line(record.agent, 18):<18}"
        f"  {record.priority:>3}  {took:>8}  {one_line(record.prompt, 60)}"
    )


def _moment(at: float | None) -> str:
    if at is None:
        return "-"
    try:
        return datetime.fromtimestamp(at).isoformat(" ", "seconds")  # local time, as its reader lives in
    except (ValueError, OverflowError, OSError):
        return str(at)


def _retries(detail: TaskDetail) -> str:
    """Attempts beyond the first of a round, where there are any."""
    retries = sum(each.attempt > 1 for each in detail.attempts)
    return f"retries {retries}, " if retries else ""


def _print_detail(out: Output, detail: TaskDetail) -> None:
    from aios_tui.cli.runner.task_report import heading
    from aios_tui.console.state.task_details import tool_call_text

    task = detail.record
    out.line(heading(task))
    out.line(
        f"submitted {_moment(task.submitted_at)}, started {_moment(task.started_at)}, ended {_moment(task.ended_at)}"
    )
    out.line(
        f"priority {task.priority}, {_retries(detail)}interruptions {detail.interruptions}, "
        f"tokens {task.tokens_in} in, {task.tokens_out} out, first token after {duration(task.ttft_s)}"
    )
    out.line(f"\n{task.prompt.strip()}")
    for each in detail.attempts:
        out.line(
            f"\n── round {each.round}, attempt {each.attempt}: {each.state} on {each.slot}, "
            f"waited {duration(each.waiting_s)}, took {duration(each.service_s)}"
        )
        if each.error:
            out.line(f"{each.fault or 'error'}: {each.error}")
        if each.reply:
            out.line(each.reply.strip())
        for call in each.tool_calls:
            out.line(tool_call_text(call))
    if task.error:
        out.line(f"\n{task.state}: {task.error}")
