"""`aios-tui run`."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from aios_tui.cli.generation_options import flag_of, task_options
from aios_tui.cli.options import (
    has_model_option,
    json_option,
    load_settings,
    record_option,
    settings_options,
    take_option,
)


@click.command()
@click.argument("prompts", metavar="PROMPT…", nargs=-1)
@task_options
@json_option("Print one JSON line per task, as it ends.")
@click.option("--resume", is_flag=True, help="Run the tasks that an interrupted process left, and no others.")
@record_option
@settings_options("config", "db", "core", "model", "policy", "slots", "log_level")
def run(prompts: tuple[str, ...], as_json: bool, resume: bool, **task: Any) -> int:
    """Run each PROMPT as a task, and print the results.

    With - as the only PROMPT, read tasks from standard input, one per line: a prompt or, if the first line begins
    with {, a JSON object (prompt, agent, priority, model, …).

    Exit codes: 0 all done, 1 some failed or were cancelled, 2 nothing was run, 130 interrupted, 143 stopped by SIGTERM,
    141 the reader of the output closed it.
    """
    given = {key: value for key, value in task.items() if value is not None and value != {}}
    if resume and (prompts or given):
        options = given.pop("options", {})
        refused = ["PROMPT"] if prompts else [*(f"--{key}" for key in given), *map(flag_of, options)]
        raise click.UsageError(f"--resume finishes what was left, and takes no {', '.join(refused)}")
    if not resume and not prompts:
        raise click.UsageError("no PROMPT; give some, or - to read them from standard input, or --resume")
    record = take_option("record")
    settings = load_settings().settings
    if has_model_option():
        given["model"] = settings.model
    from aios_tui.cli.runner.headless import run_headless
    from aios_tui.cli.task_input import read_tasks

    specs, origins = (None, []) if resume else read_tasks(prompts, given)
    return asyncio.run(run_headless(settings, specs, as_json=as_json, record=record, origins=origins))
