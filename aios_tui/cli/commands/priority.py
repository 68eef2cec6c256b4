"""`aios-tui priority`."""

from __future__ import annotations

import click

from aios_tui.cli.options import common
from aios_tui.cli.output import Output
from aios_tui.cli.remote import json_line, remote_of


@click.command()
@click.argument("id", metavar="ID", type=click.IntRange(1))
@click.argument("priority", metavar="0-9", type=click.IntRange(0, 9))
@click.option("--json", "as_json", is_flag=True, help="The task as a JSON line.")
@common
@click.pass_context
def priority(ctx: click.Context, /, id: int, priority: int, as_json: bool) -> None:
    """Give a task of the running console or service another priority: 0 is most urgent, 9 least."""
    with remote_of(ctx) as remote:
        record = remote.post(f"/v1/tasks/{id}/priority", {"priority": priority})
    Output().line(json_line(record) if as_json else f"task {id} has priority {record['priority']}")
