"""`aios-tui hold` and `aios-tui release`."""

from __future__ import annotations

import click

from aios_tui.cli.exit_codes import FAILED, WELL
from aios_tui.cli.options import common
from aios_tui.cli.output import Output
from aios_tui.cli.remote import json_line, remote_of

_ids = click.argument("ids", metavar="ID…", type=click.IntRange(1), nargs=-1, required=True)
_json = click.option("--json", "as_json", is_flag=True, help="A JSON line a task.")


@click.command()
@_ids
@_json
@common
@click.pass_context
def hold(ctx: click.Context, /, ids: tuple[int, ...], as_json: bool) -> int:
    """Hold queued tasks of the running console or service: they are not dispatched before they are released.

    Exit code 1 when one of them could not be: it had started or ended, or there is no such task.
    """
    return _each(ctx, ids, "hold", "held", as_json=as_json)


@click.command()
@_ids
@_json
@common
@click.pass_context
def release(ctx: click.Context, /, ids: tuple[int, ...], as_json: bool) -> int:
    """Release held tasks of the running console or service: each comes back with its own priority and arrival.

    Exit code 1 when one of them could not be: it had started or ended, or there is no such task.
    """
    return _each(ctx, ids, "release", "released", as_json=as_json)


def _each(ctx: click.Context, ids: tuple[int, ...], verb: str, done: str, *, as_json: bool) -> int:
    from engine.errors import UsageError

    out = Output()
    code = WELL
    with remote_of(ctx) as remote:
        for task_id in ids:
            try:
                record = remote.post(f"/v1/tasks/{task_id}/{verb}")
            except UsageError as error:
                out.say(f"task {task_id}: {error}")
                code = FAILED
            else:
                out.line(json_line(record) if as_json else f"task {task_id} {done}")
    return code
