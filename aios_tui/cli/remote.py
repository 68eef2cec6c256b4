"""Functions that the commands share which act on a running console or service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aios_tui.cli.exit_codes import FAILED, OK
from aios_tui.cli.output import duration, print_error, print_json, print_line, task_json
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.runtime.client import Remote


def connect() -> Remote:
    """Connect to the running console or service. Raises UsageError when there is none."""
    from aios_tui.cli.options import load_settings
    from aios_tui.runtime.client import find

    return find(load_settings().settings)


def change_tasks(
    ids: Sequence[int], action: str, done: Callable[[dict[str, Any]], str], *, as_json: bool, body: Any = None
) -> int:
    """Post `action` for each task, and print `done(record)` or the record. Returns FAILED if one was refused."""
    from engine.errors import UsageError

    code = OK
    with connect() as remote:
        for task_id in ids:
            try:
                record = remote.post(f"/v1/tasks/{task_id}/{action}", body)
            except UsageError as error:
                print_error(error if f"task {task_id}" in str(error) else f"task {task_id}: {error}")
                code = FAILED
            else:
                print_line(task_json(record) if as_json else f"task {task_id} {done(record)}")
    return code


def print_kernel(kernel: dict[str, Any], *, as_json: bool) -> None:
    """Print the kernel's state, policy and task counts."""
    if as_json:
        print_json(kernel)
    else:
        print_line(
            f"{kernel['state']}, policy {kernel['policy']}, {kernel['queued']} queued, {kernel['running']} running"
        )


def task_row(record: dict[str, Any], place: int | None = None) -> str:
    """Format a task as one line; `place` is its number in the queue."""
    if record.get("held"):
        status = "held"
    elif place:
        status = f"place {place}"
    else:
        status = "" if record.get("waiting_s") is None else f"waited {duration(record['waiting_s'])}"
    parts = [
        f"#{record['id']:<6}",
        f"{record['state']:<9}",
        f"pri {record['priority']}",
        f"{one_line(str(record['agent']), 20):<20}",
        f"{one_line(str(record.get('client') or '-'), 24):<24}",
        status,
        one_line(str(record["prompt"]), 60),
    ]
    return "  ".join(part for part in parts if part)
