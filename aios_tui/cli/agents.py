"""`aios-tui agents`."""

from __future__ import annotations

import json

import click

from aios_tui.cli.exits import FAILED, WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output
from engine.text import one_line


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON line an agent.")
@common
@click.pass_context
def agents(ctx: click.Context, /, as_json: bool) -> int:
    """List the agents: the built-in ones, and your own from the agents folder.

    Exit code 1 when one of your files could not be used; the others are listed all the same.
    """
    from engine.agents.catalogue import load_catalogue

    settings = settings_of(ctx).settings
    catalogue, problems = load_catalogue(settings.agents_folder)
    out = Output()
    for agent in catalogue.agents():
        if as_json:
            found = {
                "name": agent.name,
                "author": agent.author,
                "description": agent.description,
                "rounds": agent.round_total,
                "source": agent.source,
            }
            out.line(json.dumps(found, ensure_ascii=False))
        else:
            rounds = f"{agent.round_total} round{'' if agent.round_total == 1 else 's'}"
            out.line(f"{agent.name:<20}  {rounds:<9}  {one_line(agent.description, 100)}")
    if not as_json:
        out.say(f"your own go into {settings.agents_folder}, a TOML file each")
    for problem in problems:
        out.say(problem)
    return FAILED if problems else WELL
