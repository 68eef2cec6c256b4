"""The root command, and the table of all others."""

from __future__ import annotations

import importlib
from typing import Any

import click

from aios_tui import __version__
from aios_tui.cli.options import SERVING, SETTINGS, record_option, serving_options, settings_options
from engine.sanitise import one_line
from engine.wording import did_you_mean

SECTIONS = {
    "Run tasks": {
        "run": ("run:run", "Run tasks and print their results."),
        "serve": ("serve:serve", "Serve AIOS clients and the commands below over HTTP."),
    },
    "Control the running console or service": {
        "submit": ("submit:submit", "Submit tasks."),
        "ps": ("ps:ps", "List running and queued tasks."),
        "cancel": ("remote_actions:cancel", "Cancel tasks."),
        "priority": ("remote_actions:priority", "Change a task's priority."),
        "hold": ("remote_actions:hold", "Hold queued tasks."),
        "release": ("remote_actions:release", "Release held tasks."),
        "policy": ("remote_actions:policy", "Print or change the scheduling policy."),
        "pause": ("remote_actions:pause", "Pause dispatching."),
        "resume": ("remote_actions:resume", "Resume dispatching."),
        "watch": ("watch:watch", "Follow events as they happen."),
    },
    "Workloads and replays": {
        "replay": ("replay:replay", "Replay a workload, live or in virtual time, and compare policies."),
        "runs": ("runs:runs", "List, show, compare or delete saved replays."),
        "workload": ("workload:workload", "Create, import, inspect and edit workload files."),
    },
    "Inspect and manage": {
        "history": ("history:history", "List, show, search or export past tasks."),
        "agents": ("agents:agents", "List, show or check agents."),
        "cores": ("cores:cores", "List configured and discovered cores with their health and slots."),
        "bench": ("bench:bench", "Measure a core: load time, time to first token, tokens per second."),
        "models": ("models:models", "List, show, pull, delete, load and unload models."),
        "doctor": ("doctor:doctor", "Check versions, paths, cores, history and terminal."),
        "settings": ("settings:settings", "Print the settings and where each comes from."),
        "completion": ("completion:completion", "Print the completion script for bash, zsh or fish."),
    },
}
"""For each section of `--help` its commands: module and function in `commands/`, and a line of help."""
COMMANDS = {name: entry for commands in SECTIONS.values() for name, entry in commands.items()}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called; their one-line help is in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name.startswith("-"):
            return None
        if cmd_name not in COMMANDS:
            hint = did_you_mean(cmd_name, COMMANDS, most=1, cutoff=0.6, listed=len(COMMANDS))
            raise click.UsageError(f"unknown command {one_line(cmd_name, 80)!r}; {hint}", ctx)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"aios_tui.cli.commands.{module}"), name)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        titles = {
            **dict.fromkeys(SETTINGS, "Settings, before or after the command that uses them"),
            **dict.fromkeys(("record", "listen", *SERVING), "Console"),
        }
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                sections.setdefault(titles.get(param.name or "", "Options"), []).append(record)
        for title, records in sorted(sections.items(), key=lambda section: section[0] != "Options"):
            with formatter.section(title):
                formatter.write_dl(records)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


def _parse_port(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return a port, -1 for the setting's."""
    if value is None or value == "-1" or (value.isdecimal() and int(value) <= 65535):
        return None if value is None else int(value)
    raise click.BadParameter(f"{one_line(value, 40)!r} is not a port: 0 to 65535", ctx, param)


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="aios-tui %(version)s")
@click.option(
    "--listen",
    callback=_parse_port,
    is_flag=False,
    flag_value="-1",
    metavar="[PORT]",
    help="Also serve AIOS clients; on port 8000 by default.",
)
@record_option
@serving_options
@settings_options(*SETTINGS)
@click.pass_context
def root(ctx: click.Context, /, listen: int | None, **_: Any) -> int | None:
    """The operator console for an LLM-agent operating system.

    Without a command, open the console. `aios-tui COMMAND --help` explains a command.
    """
    if ctx.invoked_subcommand is not None:
        if listen is not None:
            raise click.UsageError("--listen is for the console; `aios-tui serve` serves without one")
        return None
    from aios_tui.cli.commands.console import open_console

    return open_console(listen)
