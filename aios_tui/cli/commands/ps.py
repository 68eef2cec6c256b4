"""`aios-tui ps`."""

from __future__ import annotations

import click

from aios_tui.cli.options import common
from aios_tui.cli.output import Output
from aios_tui.cli.remote import json_line, remote_of, show_kernel, task_row


@click.command()
@click.option(
    "--ended", type=click.IntRange(0, 1000), default=0, metavar="N", help="The latest N that have ended, too."
)
@click.option("--limit", type=click.IntRange(0, 10_000), default=100, metavar="N", help="How many to list at most.")
@click.option("--client", metavar="NAME", help="Only this client's tasks.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line a task.")
@common
@click.pass_context
def ps(ctx: click.Context, /, ended: int, limit: int, client: str | None, as_json: bool) -> None:
    """List what runs, what is queued, in the order in which it would run, and what is held.

    It asks the running console or service.
    """
    out = Output()
    with remote_of(ctx) as remote:
        kernel = remote.get("/v1/kernel")
        listed = remote.get("/v1/tasks", ended=ended, limit=limit, client=client)
    tasks, more = listed["tasks"], listed.get("more", 0)
    place = 0
    for record in tasks:
        ready = record["state"] == "queued" and not record.get("held")
        place += ready
        shown = place if ready and client is None else None
        out.line(json_line(record) if as_json else task_row(record, shown))
    if more:
        out.say(f"{more} more are queued; --limit lists more of them")
    if not as_json:
        show_kernel(out, kernel, as_json=False)
