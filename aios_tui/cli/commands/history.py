"""`aios-tui history …`: read the history, also while a console owns it."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.command_group import CommandGroup
from aios_tui.cli.exit_codes import CommandFailed
from aios_tui.cli.history_access import read_history
from aios_tui.cli.options import json_option, settings_options, with_options
from aios_tui.cli.output import duration, local_time, print_line, print_note, task_json
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from engine.task import TaskRecord
    from persistence import History, TaskDetail

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_STATES = ("queued", "running", "done", "failed", "cancelled")


def _parse_time(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return Unix seconds: `2h` and `3d` are that long ago, `2026-11-22T14:00` is local time without an offset."""
    if value is None:
        return None
    if ago := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", value):
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError):
        text = f"{one_line(value, 60)!r} is not a time; give 30m, 2h, 3d or 2026-11-22T14:00"
        raise click.BadParameter(text, ctx, param) from None


_filter_options = with_options(
    click.option(
        "--state",
        type=click.Choice(_STATES),
        metavar="STATE",
        help=f"Only tasks in this state: {', '.join(_STATES)}.",
    ),
    click.option("--agent", metavar="AGENT", help="Only tasks of this agent."),
    click.option("--client", metavar="NAME", help="Only tasks of this client."),
    click.option(
        "--since",
        callback=_parse_time,
        metavar="TIME",
        help="Only tasks submitted since TIME: 2h, 3d, 2026-11-22T14:00.",
    ),
    click.option("--until", callback=_parse_time, metavar="TIME", help="Only tasks submitted before TIME."),
)
_limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=50, metavar="N", help="At most N tasks; 50 by default."
)
_task_json_option = json_option("Print one JSON line per task.")


@click.group(cls=CommandGroup)
@settings_options()
def history() -> None:
    """List, show, search or export past tasks."""


@history.command("list")
@_limit_option
@_filter_options
@_task_json_option
@settings_options("config", "db")
def list_tasks(limit: int, as_json: bool, **filters: Any) -> None:
    """List tasks, newest first."""
    _print_tasks(lambda history: history.list(limit, **_with_state(filters)), as_json)


@history.command()
@click.argument("words", nargs=-1, required=True)
@_limit_option
@_task_json_option
@settings_options("config", "db")
def search(words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search prompts and results for WORDS, best match first.

    A task matches when it has all the words; the last one matches as a prefix.
    """
    _print_tasks(lambda history: history.search(" ".join(words), limit), as_json)


@history.command()
@click.argument("task", metavar="ID", type=int)
@json_option("Print one JSON object, with rounds and attempts.")
@settings_options("config", "db")
def show(task: int, as_json: bool) -> None:
    """Show one task: prompt, replies, timings and attempts. Exit code 1 when there is no such task."""

    async def query(history: History) -> TaskDetail | None:
        return await history.show(task)

    detail = read_history(query, None)
    if detail is None:
        raise CommandFailed(f"there is no task {task}")
    if as_json:
        print_line(detail.model_dump_json())
    else:
        _print_detail(detail)


@history.command()
@_filter_options
@click.option("--output", type=Path, metavar="FILE", help="Write to a new file instead of stdout.")
@click.option("--workload", is_flag=True, help="With --output: write a workload that can be replayed.")
@settings_options("config", "db")
def export(output: Path | None, workload: bool, **filters: Any) -> None:
    """Export all tasks as JSON lines or a workload, oldest first."""
    if workload and output is None:
        raise click.UsageError("--workload needs --output FILE: a workload is a file")
    if output is not None and output.exists():
        raise click.UsageError(f"{output} exists already; choose a new file")
    filters = _with_state(filters)

    async def write(history: History) -> int | None:
        if output is None:
            async for record in history.export(**filters):
                print_line(task_json(record))
            return None
        if workload:
            from aios_tui.cli.commands.history_workload import write_workload

            return await write_workload(history, output, filters)
        return await _write_file(history.export(**filters), output)

    count = read_history(write, None)
    if count is not None:
        replay = f"; replay them with `aios-tui replay {output}`" if workload else ""
        print_note(f"{plural(count, 'task')} written to {output}{replay}")


@history.command()
@click.option("--since", callback=_parse_time, metavar="TIME", help="Start: 3d, 2026-11-22; 1h by default.")
@click.option("--until", callback=_parse_time, metavar="TIME", help="End; now by default.")
@json_option("Print one JSON object, with every curve.")
@settings_options("config", "db")
def metrics(since: float | None, until: float | None, as_json: bool) -> None:
    """Print the numbers of the Metrics screen.

    Queue length, waiting time, throughput, tokens/s and utilisation, in all and by priority.
    """
    from aios_tui.cli.commands import history_metrics

    if since is not None and since >= (time.time() if until is None else until):
        raise click.UsageError("--since must be before --until")
    measured = read_history(lambda history: history_metrics.measure_history(history, since, until), None)
    if measured is not None:
        history_metrics.print_measures(measured, as_json=as_json)


async def _write_file(records: AsyncIterator[TaskRecord], path: Path) -> int:
    """Write a new file of JSON lines, and return their number. Raises UsageError."""
    from engine.errors import UsageError
    from engine.files import atomic_writer, file_error

    count = 0
    try:
        with atomic_writer(path, overwrite=False) as file:
            async for record in records:
                file.write(f"{task_json(record)}\n".encode("utf-8", "replace"))
                count += 1
    except OSError as error:
        raise UsageError(f"{path}: {file_error(error)}") from None
    return count


def _with_state(filters: dict[str, Any]) -> dict[str, Any]:
    """Return the filters as the history takes them."""
    from engine.task import TaskState

    return {**filters, "state": TaskState(filters["state"]) if filters["state"] else None}


def _print_tasks(query: Callable[[History], Awaitable[Sequence[TaskRecord]]], as_json: bool) -> None:
    records: Sequence[TaskRecord] = read_history(query, ())
    if not as_json and records:
        print_line(f"{'id':>6}  {'submitted':<16}  {'state':<9}  {'agent':<18}  pri  {'took':>8}  prompt")
    for record in records:
        print_line(task_json(record) if as_json else _row(record))
    if not records:
        print_note("no task found")


def _row(record: TaskRecord) -> str:
    took = duration(record.took_s)
    return (
        f"{record.id:>6}  {local_time(record.submitted_at):<16}  {record.state:<9}"
        f"  {one_line(record.agent, 18):<18}  {record.priority:>3}  {took:>8}  {one_line(record.prompt, 60)}"
    )


def _print_detail(detail: TaskDetail) -> None:
    from aios_tui.cli.runner.task_report import format_heading
    from aios_tui.console.state.task_details import tool_call_text

    task = detail.record
    retries = sum(each.attempt > 1 for each in detail.attempts)
    print_line(format_heading(task))
    submitted, started, ended = (
        local_time(at, "seconds") for at in (task.submitted_at, task.started_at, task.ended_at)
    )
    print_line(f"submitted {submitted}, started {started}, ended {ended}")
    print_line(
        f"priority {task.priority}, {f'retries {retries}, ' if retries else ''}interruptions {detail.interruptions}, "
        f"tokens {task.tokens_in} in, {task.tokens_out} out, first token after {duration(task.ttft_s)}"
    )
    print_line(f"\n{task.prompt.strip()}")
    for each in detail.attempts:
        print_line(
            f"\n── round {each.round}, attempt {each.attempt}: {each.state} on {each.slot}, "
            f"waited {duration(each.waiting_s)}, took {duration(each.service_s)}"
        )
        if each.error:
            print_line(f"{each.fault or 'error'}: {each.error}")
        if each.reply:
            print_line(each.reply.strip())
        for call in each.tool_calls:
            print_line(tool_call_text(call))
    if task.error:
        print_line(f"\n{task.state}: {task.error}")
