"""`aios-tui run`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.generation_options import flag_of, generating
from aios_tui.cli.options import common, recording, settings_of, take
from aios_tui.cli.output import standard_input

if TYPE_CHECKING:
    from engine.task import TaskSpec


def _agent_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For shell completion."""
    from aios_tui.config.settings import read_settings
    from engine.agents.catalogue import load_catalogue

    catalogue, _ = load_catalogue(read_settings()[0].settings.agents_folder)
    return [name for name in catalogue.names() if name.startswith(incomplete)]


@click.command()
@click.argument("prompts", metavar="PROMPT…", nargs=-1)
@click.option(
    "--agent", metavar="AGENT", shell_complete=_agent_names, help="Who carries the tasks out; chat if not given."
)
@click.option("--priority", type=int, metavar="0-9", help="0 is most urgent, 9 least; 5 if not given.")
@generating
@click.option("--json", "as_json", is_flag=True, help="A JSON line for each task, as it ends.")
@click.option("--resume", is_flag=True, help="Finish what an interrupted process left, and nothing else.")
@recording
@common
@click.pass_context
def run(ctx: click.Context, /, prompts: tuple[str, ...], as_json: bool, resume: bool, **task: Any) -> int:
    """Run each PROMPT as a task, to the end, and print the results.

    With - in place of prompts, tasks come from standard input: a prompt a line, or, if the first line begins with {,
    a JSON object a line (prompt, agent, priority, model, …).

    Exit codes: 0 all done, 1 some failed or were cancelled, 2 nothing was run, 130 interrupted (143 by SIGTERM),
    141 whoever read the results left.
    """
    options = task.pop("options")
    given = {key: value for key, value in task.items() if value is not None}
    if resume and (prompts or given or options):
        flags = [*(f"--{key}" for key in given), *map(flag_of, options)]
        what = "a PROMPT" if prompts else ", ".join(flags)
        raise click.UsageError(f"--resume finishes what was left, and takes no {what.removeprefix('a ')}")
    if not resume and not prompts:
        raise click.UsageError("no PROMPT; give some, or - to read them from standard input, or --resume")
    if "-" in prompts and len(prompts) > 1:
        raise click.UsageError("- stands alone: tasks come from standard input or from arguments")
    record = take(ctx, "record")
    loaded = settings_of(ctx)
    if "model" in loaded.origins and loaded.origins["model"].startswith("option"):
        given["model"] = loaded.settings.model  # asked for by name: a task that can't have it fails
    if options:
        given["options"] = options
    specs, lines = (None, []) if resume else _specs(prompts, given)
    from aios_tui.cli.runner.headless import run_headless

    return asyncio.run(run_headless(loaded.settings, specs, as_json=as_json, record=record, lines=lines))


def _specs(prompts: tuple[str, ...], defaults: dict[str, Any]) -> tuple[list[TaskSpec], list[str]]:
    """The tasks, and where in the input each stands; nowhere when they are arguments."""
    from aios_tui.cli import task_input

    if prompts == ("-",):
        return task_input.from_stream(standard_input(), defaults)
    return task_input.from_prompts(prompts, defaults), []
