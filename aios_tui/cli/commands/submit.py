"""`aios-tui submit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import FAILED, WELL
from aios_tui.cli.generation_options import generating
from aios_tui.cli.options import common
from aios_tui.cli.output import Output, standard_input
from aios_tui.cli.remote import json_line, remote_of, task_row

if TYPE_CHECKING:
    from engine.task import TaskSpec


@click.command()
@click.argument("prompts", metavar="PROMPT…", nargs=-1, required=True)
@click.option("--agent", metavar="AGENT", help="Who carries the tasks out; chat if not given.")
@click.option("--priority", type=int, metavar="0-9", help="0 is most urgent, 9 least; 5 if not given.")
@click.option("--deadline", type=float, metavar="SECONDS", help="After submission; it is noted, not enforced.")
@click.option("--client", metavar="NAME", help="Who submits it, for the operator to see.")
@generating
@click.option("--wait", is_flag=True, help="Wait for the end of the tasks, and print the results.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line a task.")
@common
@click.pass_context
def submit(ctx: click.Context, /, prompts: tuple[str, ...], wait: bool, as_json: bool, **task: Any) -> int:
    """Submit each PROMPT to the running console or service. Prints a task's id a line.

    With - in place of prompts, tasks come from standard input, as with `run`.

    Exit codes with --wait: 0 all done, 1 some failed or were cancelled. 2 nothing, or not all, was submitted.
    """
    from engine.errors import UsageError

    specs = _specs(prompts, {key: value for key, value in task.items() if value is not None})
    out = Output()
    well = True
    with remote_of(ctx) as remote:
        ids: list[int] = []
        for spec in specs:
            try:
                record = remote.post("/v1/tasks", _body(spec))
            except UsageError as error:
                told = f" (submitted before it: {len(ids)})" if ids else ""
                raise UsageError(f"{error}{told}") from None
            ids.append(record["id"])
            if not wait:
                out.line(json_line(record) if as_json else str(record["id"]))
        for task_id in ids if wait else ():
            record = remote.wait(task_id)
            well &= record["state"] == "done"
            if as_json:
                out.line(json_line(record))
            elif record["state"] == "done":
                out.line(record["result"] or "")
            else:
                out.say(f"{task_row(record)}: {record['error'] or record['state']}")
    return WELL if well else FAILED


def _specs(prompts: tuple[str, ...], given: dict[str, Any]) -> list[TaskSpec]:
    from aios_tui.cli import task_input

    defaults = {key: value for key, value in given.items() if key != "options" or value}
    model = click.get_current_context().find_root().meta.get("aios_tui.options", {}).get("model")
    if model is not None:
        defaults["model"] = model
    if prompts == ("-",):
        return task_input.from_stream(standard_input(), defaults)[0]
    if "-" in prompts:
        raise click.UsageError("- stands alone: tasks come from standard input or from arguments")
    return task_input.from_prompts(prompts, defaults)


def _body(spec: TaskSpec) -> dict[str, Any]:
    body = spec.model_dump(
        mode="json", exclude_none=True, include={"prompt", "agent", "priority", "model", "deadline", "client", "ref"}
    )
    return body | {"options": spec.options.model_dump(exclude_none=True)}
