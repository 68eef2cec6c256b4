"""The commands that change something in a running console or service with one request.

`aios-tui cancel`, `hold`, `release` and `priority` change tasks, `pause` and `resume` the kernel, `policy` its policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from aios_tui.cli.options import json_option, settings_options, with_options
from aios_tui.cli.output import print_json, print_line
from aios_tui.cli.remote import change_tasks, connect, print_kernel

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _task_command(name: str, past: str, help: str, *options: Decorator) -> click.Command:
    """Create a command that posts `name` for each of several tasks and reports it as `past`; `options` are the body."""

    def command(ids: tuple[int, ...], as_json: bool, **body: Any) -> int:
        return change_tasks(ids, name, lambda _: past, as_json=as_json, body=body)

    argument = click.argument("ids", metavar="ID…", type=click.IntRange(1), nargs=-1, required=True)
    json = json_option("Print one JSON line per task.")
    decorated = with_options(argument, *options, json, settings_options("config", "db"))(command)
    codes = f"Exit code 1 when a task can't be {past}, 2 when no console or service runs."
    return click.command(name, help=f"{help}\n\n{codes}")(decorated)


def _kernel_command(name: str, help: str) -> click.Command:
    """Create a command that posts `name` and prints the kernel's state."""

    @json_option("Print one JSON object.")
    @settings_options("config", "db")
    def command(as_json: bool) -> None:
        with connect() as remote:
            print_kernel(remote.post(f"/v1/{name}"), as_json=as_json)

    return click.command(name, help=help)(command)


cancel = _task_command(
    "cancel",
    "cancelled",
    "Cancel queued or running tasks of the running console or service.",
    click.option("--reason", metavar="TEXT", help="Reason to give to the submitter."),
)
hold = _task_command(
    "hold", "held", "Hold queued tasks of the running console or service: they wait until they are released."
)
release = _task_command(
    "release",
    "released",
    "Release held tasks of the running console or service; each keeps its priority and arrival time.",
)
pause = _kernel_command(
    "pause", "Stop dispatching in the running console or service. Running tasks finish their current round."
)
resume = _kernel_command("resume", "Resume dispatching in the running console or service, after a pause or a drain.")


@click.command()
@click.argument("id", metavar="ID", type=click.IntRange(1))
@click.argument("priority", metavar="0-9", type=click.IntRange(0, 9))
@json_option("Print the task as a JSON line.")
@settings_options("config", "db")
def priority(id: int, priority: int, as_json: bool) -> int:
    """Change the priority of a task of the running console or service: 0 is most urgent, 9 least.

    Exit code 1 when it can't be changed, 2 when no console or service runs.
    """
    body = {"priority": priority}
    return change_tasks([id], "priority", lambda task: f"has priority {task['priority']}", as_json=as_json, body=body)


@click.command()
@click.argument("name", metavar="[POLICY]", required=False)
@json_option("Print one JSON object.")
@settings_options("config", "db")
def policy(name: str | None, as_json: bool) -> None:
    """Print the policy of the running console or service, or change it to POLICY.

    fifo, npps or npps:ageing=SECONDS, each with affinity=PASSES or affinity_s=SECONDS, as in npps:ageing=60,affinity=8.
    """
    with connect() as remote:
        current = remote.get("/v1/policy") if name is None else remote.put("/v1/policy", {"policy": name})
    if as_json:
        print_json(current)
    else:
        print_line(current["policy"])
