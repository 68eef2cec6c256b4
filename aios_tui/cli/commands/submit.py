"""`aios-tui submit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import FAILED, OK, CommandFailed
from aios_tui.cli.generation_options import task_options
from aios_tui.cli.options import given_options, has_model_option, json_option, settings_options
from aios_tui.cli.output import print_line, print_note, task_json
from aios_tui.cli.remote import connect, task_row
from engine.wording import plural

if TYPE_CHECKING:
    from aios_tui.runtime.client import Remote
    from engine.task import TaskSpec

_FIELDS = {"prompt", "agent", "priority", "model", "deadline", "client", "ref"}


@click.command()
@click.argument("prompts", metavar="PROMPT…", nargs=-1, required=True)
@task_options
@click.option("--deadline", type=float, metavar="SECONDS", help="Seconds after submission; recorded, not enforced.")
@click.option("--client", metavar="NAME", help="Name of the submitter, shown to the operator.")
@click.option("--wait", is_flag=True, help="Wait until the tasks have ended, and print their results.")
@json_option("Print one JSON line per task.")
@settings_options("config", "db", "model")
def submit(prompts: tuple[str, ...], wait: bool, as_json: bool, **task: Any) -> int:
    """Submit each PROMPT as a task to the running console or service, and print its id.

    With - as the only PROMPT, read tasks from standard input, as `run` does.

    Exit code 1 when not all were submitted or, with --wait, done; 2 when none was submitted.
    """
    from aios_tui.cli.task_input import read_tasks

    defaults = {key: value for key, value in task.items() if value is not None and value != {}}
    if has_model_option():
        defaults["model"] = given_options()["model"]
    specs, _ = read_tasks(prompts, defaults)
    code = OK
    ids: list[int] = []
    with connect() as remote:
        for spec in specs:
            record = _post(remote, spec, before=len(ids))
            ids.append(record["id"])
            if not wait:
                print_line(task_json(record) if as_json else str(record["id"]))
        for task_id in ids if wait else ():
            record = remote.wait(task_id)
            if record["state"] != "done":
                code = FAILED
            if as_json:
                print_line(task_json(record))
            elif record["state"] == "done":
                print_line(record["result"] or "")
            else:
                print_note(f"{task_row(record)}: {record['error'] or record['state']}")
    return code


def _post(remote: Remote, spec: TaskSpec, *, before: int) -> dict[str, Any]:
    """Submit one task. Raises CommandFailed in place of a UsageError when `before` others were submitted."""
    from engine.errors import UsageError

    body = spec.model_dump(mode="json", exclude_none=True, include=_FIELDS)
    try:
        return remote.post("/v1/tasks", body | {"options": spec.options.model_dump(exclude_none=True)})
    except UsageError as error:
        if before:
            raise CommandFailed(f"{error} ({plural(before, 'task')} submitted before it)") from None
        raise
