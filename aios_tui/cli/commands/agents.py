"""`aios-tui agents`."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import FAILED, WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output, duration
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.agents.declarative import DeclarativeAgent
    from persistence.rows import AgentRow


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON line an agent.")
@common
@click.pass_context
def agents(ctx: click.Context, /, as_json: bool) -> int | None:
    """The agents: the built-in ones, and your own from the agents folder. Without a command, the list.

    Exit code 1 when one of your files could not be used; the others are listed all the same.
    """
    return None if ctx.invoked_subcommand is not None else _list(ctx, as_json=as_json)


@agents.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON line an agent.")
@common
@click.pass_context
def list_agents(ctx: click.Context, /, as_json: bool) -> int:
    """List the agents, with what each does and how it has done so far."""
    return _list(ctx, as_json=as_json)


@agents.command()
@click.argument("name", metavar="AGENT")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """Show one agent: its rounds and their prompts, its defaults, and how it has done so far."""
    from engine.agents.catalogue import load_catalogue

    settings = settings_of(ctx).settings
    agent = load_catalogue(settings.agents_folder)[0].find(name)
    record = _record(agent, _done(settings.db).get(agent.name))
    out = Output()
    if as_json:
        out.line(json.dumps(record | {"prompts": list(agent.prompts), "system": agent.system}, ensure_ascii=False))
        return
    out.line(f"{agent.name}{f' by {agent.author}' if agent.author else ''}: {one_line(agent.description, 200)}")
    out.line(f"from      {agent.source}")
    if defaults := _words(record["options"]):
        out.line(f"defaults  {defaults}")
    out.line(f"so far    {_so_far(record['so_far'])}")
    if agent.system:
        out.line(f"\nsystem\n{_indented(agent.system)}")
    for number, prompt in enumerate(agent.prompts, 1):
        out.line(f"\nround {number} of {agent.round_total}\n{_indented(prompt)}")


@agents.command()
@click.argument("files", metavar="[FILE…]", nargs=-1, type=Path)
@common
@click.pass_context
def check(ctx: click.Context, /, files: tuple[Path, ...]) -> int:
    """Check agent files: those given, or all in the agents folder. Exit code 1 when one can't be used."""
    from engine.agents.catalogue import load_catalogue
    from engine.agents.declarative import MAX_FILE_BYTES, parse_agent
    from engine.errors import UsageError

    out = Output()
    if not files:
        folder = settings_of(ctx).settings.agents_folder
        catalogue, problems = load_catalogue(folder)
        for agent in catalogue.agents():
            if agent.source.startswith(str(folder)):
                out.line(f"{agent.source}: {agent.name}, {_rounds(agent)}")
        for problem in problems:
            out.say(problem)
        return FAILED if problems else WELL
    code = WELL
    for path in files:
        try:
            with path.open("rb") as file:
                agent = parse_agent(file.read(MAX_FILE_BYTES + 1), str(path))
        except (UsageError, OSError) as error:
            out.say(f"agent file {path}: {getattr(error, 'strerror', None) or error}")
            code = FAILED
        else:
            out.line(f"{path}: {agent.name}, {_rounds(agent)}")
    return code


def _list(ctx: click.Context, *, as_json: bool) -> int:
    from engine.agents.catalogue import load_catalogue

    settings = settings_of(ctx).settings
    catalogue, problems = load_catalogue(settings.agents_folder)
    done = _done(settings.db)
    out = Output()
    for agent in catalogue.agents():
        record = _record(agent, done.get(agent.name))
        if as_json:
            out.line(json.dumps(record, ensure_ascii=False))
        else:
            tasks = record["so_far"]["tasks"]
            counted = f"{tasks} task{'' if tasks == 1 else 's'}"
            out.line(f"{agent.name:<20}  {_rounds(agent):<9}  {counted:<11}  {one_line(agent.description, 100)}")
    if not as_json:
        out.say(f"your own go into {settings.agents_folder}, a TOML file each")
    for problem in problems:
        out.say(problem)
    return FAILED if problems else WELL


def _record(agent: DeclarativeAgent, done: AgentRow | None) -> dict[str, Any]:
    from persistence.rows import AgentRow

    so_far = (done or AgentRow(agent=agent.name)).model_dump(exclude={"agent"})
    return {
        "name": agent.name,
        "author": agent.author,
        "description": agent.description,
        "rounds": agent.round_total,
        "source": agent.source,
        "options": [options.model_dump(exclude_none=True) for options in agent.options],
        "so_far": so_far,
    }


def _done(db: Path) -> dict[str, AgentRow]:
    """How the agents have done, by the history; nothing where there is none yet."""
    from persistence import History

    async def ask() -> dict[str, AgentRow]:
        async with History(db) as history:
            return await history.by_agent()

    return asyncio.run(ask()) if db.exists() else {}


def _rounds(agent: DeclarativeAgent) -> str:
    return f"{agent.round_total} round{'' if agent.round_total == 1 else 's'}"


def _words(options: list[dict[str, Any]]) -> str:
    """The options that all rounds share, or those of each."""
    told = [", ".join(f"{key} {value}" for key, value in each.items()) or "none" for each in options]
    if len(set(told)) == 1:
        return "" if told[0] == "none" else told[0]
    return "; ".join(f"round {number}: {each}" for number, each in enumerate(told, 1))


def _so_far(done: dict[str, Any]) -> str:
    if not done["tasks"]:
        return "no tasks yet"
    last = time.strftime("%Y-%m-%d %H:%M", time.localtime(done["last_at"]))
    return (
        f"{done['tasks']} tasks, {done['done']} done, {done['failed']} failed, {done['cancelled']} cancelled;"
        f" on average waited {duration(done['waiting_s'])}, turnaround {duration(done['turnaround_s'])}; "
        f"{done['tokens_in']:,} tokens in, {done['tokens_out']:,} out; last {last}"
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())
