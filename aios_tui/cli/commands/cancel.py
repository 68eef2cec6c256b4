"""`aios-tui cancel`."""

from __future__ import annotations

import click

from aios_tui.cli.exit_codes import FAILED, WELL
from aios_tui.cli.options import common
from aios_tui.cli.output import Output
from aios_tui.cli.remote import json_line, remote_of


@click.command()
@click.argument("ids", metavar="ID…", type=click.IntRange(1), nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", help="Why; whoever submitted it is told.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line a task.")
@common
@click.pass_context
def cancel(ctx: click.Context, /, ids: tuple[int, ...], reason: str | None, as_json: bool) -> int:
    """Cancel tasks of the running console or service, at the model too.

    Exit code 1 when one of them could not be: it had ended, or there is no such task.
    """
    from engine.errors import UsageError

    out = Output()
    code = WELL
    with remote_of(ctx) as remote:
        for task_id in ids:
            try:
                record = remote.post(f"/v1/tasks/{task_id}/cancel", {"reason": reason})
            except UsageError as error:
                out.say(f"task {task_id}: {error}")
                code = FAILED
            else:
                out.line(json_line(record) if as_json else f"task {task_id} cancelled")
    return code
