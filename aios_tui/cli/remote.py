"""What the commands that act on a running console or service share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aios_tui.cli.output import FIRST, Output, duration
from engine.sanitise import one_line

if TYPE_CHECKING:
    import click

    from aios_tui.runtime.client import Remote


def remote_of(ctx: click.Context) -> Remote:
    """The running console or service. Raises UsageError when there is none."""
    from aios_tui.cli.options import settings_of
    from aios_tui.runtime.client import find

    return find(settings_of(ctx).settings)


def json_line(record: dict[str, Any]) -> str:
    """A task's record as `run --json` and `history --json` print it."""
    known = {key: record[key] for key in FIRST if key in record}
    return json.dumps(known | record, ensure_ascii=False)


def task_row(record: dict[str, Any], place: int | None = None) -> str:
    """A task on one line."""
    waited = record.get("waiting_s")
    parts = [
        f"#{record['id']:<6}",
        f"{record['state']:<9}",
        f"pri {record['priority']}",
        f"{one_line(str(record['agent']), 20):<20}",
        f"{one_line(str(record.get('client') or '-'), 24):<24}",
        "held"
        if record.get("held")
        else f"place {place}"
        if place
        else f"waited {duration(waited)}"
        if waited is not None
        else "",
        one_line(str(record["prompt"]), 60),
    ]
    return "  ".join(part for part in parts if part)


def show_kernel(out: Output, kernel: dict[str, Any], *, as_json: bool) -> None:
    """The kernel's state, policy and counts."""
    if as_json:
        out.line(json.dumps(kernel, ensure_ascii=False))
    else:
        out.line(
            f"{kernel['state']}, policy {kernel['policy']}, {kernel['queued']} queued, {kernel['running']} running"
        )
