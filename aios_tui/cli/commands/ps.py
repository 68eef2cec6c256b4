"""`aios-tui ps`."""

from __future__ import annotations

import click

from aios_tui.cli.options import json_option, settings_options
from aios_tui.cli.output import print_line, print_note, task_json
from aios_tui.cli.remote import connect, print_kernel, task_row


@click.command()
@click.option("--ended", type=click.IntRange(0, 1000), default=0, metavar="N", help="Also the latest N that ended.")
@click.option("--limit", type=click.IntRange(0, 10_000), default=100, metavar="N", help="At most N tasks; 100.")
@click.option("--client", metavar="NAME", help="Only tasks of this client.")
@json_option("Print one JSON line per task.")
@settings_options("config", "db")
def ps(ended: int, limit: int, client: str | None, as_json: bool) -> None:
    """List the tasks of the running console or service: running, queued in dispatch order, and held."""
    with connect() as remote:
        kernel = remote.get("/v1/kernel")
        listed = remote.get("/v1/tasks", ended=ended, limit=limit, client=client)
    place = 0
    for record in listed["tasks"]:
        ready = record["state"] == "queued" and not record.get("held")
        place += ready
        shown = place if ready and client is None else None
        print_line(task_json(record) if as_json else task_row(record, shown))
    if more := listed.get("more", 0):
        print_note(f"{more} more queued; --limit N lists more")
    if not as_json:
        print_kernel(kernel, as_json=False)
