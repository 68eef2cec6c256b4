"""The root command, and the table of the others."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import click

from aios_tui import __version__
from aios_tui.cli.options import common, recording, serving
from engine.sanitise import one_line

COMMANDS = {
    "run": ("run:run", "Run tasks to their end and print the results."),
    "serve": ("serve:serve", "Serve AIOS clients and the remote commands over HTTP."),
    "submit": ("submit:submit", "Submit tasks to the running console or service."),
    "ps": ("ps:ps", "List what runs and is queued there."),
    "cancel": ("cancel:cancel", "Cancel tasks there."),
    "priority": ("priority:priority", "Change a task's priority there."),
    "hold": ("hold:hold", "Hold queued tasks there."),
    "release": ("hold:release", "Release held tasks there."),
    "policy": ("policy:policy", "Print or switch the policy there."),
    "pause": ("pause:pause", "Pause dispatching there."),
    "resume": ("resume:resume", "Dispatch again there."),
    "watch": ("watch:watch", "Follow what happens there."),
    "replay": ("replay:replay", "Replay a workload, live or in virtual time, and compare policies."),
    "runs": ("runs:runs", "List, show, compare or delete replays that were kept."),
    "workload": ("workload:workload", "Make, import, look at and shape workload files."),
    "history": ("history:history", "List, show, search or export past tasks."),
    "agents": ("agents:agents", "List the agents."),
    "cores": ("cores:cores", "List the configured cores and those found here, with health and slots."),
    "bench": ("bench:bench", "Measure a core: load time, time to first token, tokens per second."),
    "models": ("models:models", "List, show, fetch, delete, load and unload models."),
    "doctor": ("doctor:doctor", "Check versions, paths, cores, history and terminal."),
    "settings": ("settings:settings", "Print the settings and where each comes from."),
    "completion": ("completion:completion", "Print the completion script for bash, zsh or fish."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; their one-line help stands in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name.startswith("-"):
            return None
        if cmd_name not in COMMANDS:
            near = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"unknown command {one_line(cmd_name, 80)!r}: {hint}", ctx)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"aios_tui.cli.commands.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="aios-tui %(version)s")
@click.option(
    "--listen",
    type=click.IntRange(-1, 65535),
    is_flag=False,
    flag_value=-1,
    metavar="[PORT]",
    help="Have the console serve AIOS clients, too; on port 8000 if not given.",
)
@recording
@serving
@common
@click.pass_context
def root(ctx: click.Context, /, listen: int | None, **_: Any) -> int | None:
    """The operator console for an LLM-agent operating system.

    Without a command it opens the console. The options below may stand before or after a command's name.
    """
    if ctx.invoked_subcommand is not None:
        if listen is not None:
            raise click.UsageError("--listen is for the console; `aios-tui serve` serves without one")
        return None
    from aios_tui.cli.commands.console import console

    return console(ctx, listen)
