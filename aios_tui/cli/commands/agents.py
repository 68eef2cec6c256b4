"""`aios-tui agents …`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import FAILED, OK
from aios_tui.cli.options import json_option, load_settings, settings_options
from aios_tui.cli.output import duration, local_time, print_json, print_line, print_note
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from engine.agents.declarative import DeclarativeAgent
    from persistence.rows import AgentRow

_agents_json_option = json_option("Print one JSON line per agent.")


@click.group(invoke_without_command=True)
@_agents_json_option
@settings_options("config", "db")
@click.pass_context
def agents(ctx: click.Context, /, as_json: bool) -> int | None:
    """List, show or check agents. Without a subcommand, list them.

    There are built-in ones and those in your agents folder.

    Exit code 1 when one of your agent files is invalid; the others are listed all the same.
    """
    return None if ctx.invoked_subcommand is not None else ctx.invoke(list_agents, as_json=as_json)


@agents.command("list")
@_agents_json_option
@settings_options("config", "db")
def list_agents(as_json: bool) -> int:
    """List agents with their rounds and number of tasks."""
    from engine.agents.catalogue import load_catalogue

    settings = load_settings().settings
    catalogue, problems = load_catalogue(settings.agents_folder)
    results = _read_results(settings.db)
    for agent in catalogue.agents():
        record = _record(agent, results.get(agent.name))
        if as_json:
            print_json(record)
        else:
            rounds, tasks = plural(agent.round_total, "round"), plural(record["so_far"]["tasks"], "task")
            print_line(f"{agent.name:<20}  {rounds:<9}  {tasks:<11}  {one_line(agent.description, 100)}")
    if not as_json:
        print_note(f"your own agents: one TOML file each in {settings.agents_folder}")
    for problem in problems:
        print_note(problem)
    return FAILED if problems else OK


@agents.command()
@click.argument("name", metavar="AGENT")
@json_option("Print one JSON object.")
@settings_options("config", "db")
def show(name: str, as_json: bool) -> None:
    """Show an agent: prompts, default options, results so far."""
    from engine.agents.catalogue import load_catalogue

    settings = load_settings().settings
    agent = load_catalogue(settings.agents_folder)[0].find(name)
    record = _record(agent, _read_results(settings.db).get(agent.name))
    if as_json:
        print_json(record | {"prompts": list(agent.prompts), "system": agent.system})
        return
    print_line(f"{agent.name}{f' by {agent.author}' if agent.author else ''}: {one_line(agent.description, 200)}")
    print_line(f"from      {agent.source}")
    if defaults := _format_options(record["options"]):
        print_line(f"defaults  {defaults}")
    print_line(f"so far    {_format_results(record['so_far'])}")
    if agent.system:
        print_line(f"\nsystem\n{_indent(agent.system)}")
    for number, prompt in enumerate(agent.prompts, 1):
        print_line(f"\nround {number} of {agent.round_total}\n{_indent(prompt)}")


@agents.command()
@click.argument("files", metavar="[FILE…]", nargs=-1, type=Path)
@settings_options("config")
def check(files: tuple[Path, ...]) -> int:
    """Check agent files, by default those in your agents folder.

    Exit code 1 when one is invalid.
    """
    from engine.agents.catalogue import load_catalogue
    from engine.agents.declarative import MAX_FILE_BYTES, parse_agent
    from engine.errors import UsageError

    if not files:
        folder = load_settings().settings.agents_folder
        catalogue, problems = load_catalogue(folder)
        for agent in catalogue.agents():
            if agent.source.startswith(str(folder)):
                print_line(f"{agent.source}: {agent.name}, {plural(agent.round_total, 'round')}")
        for problem in problems:
            print_note(problem)
        return FAILED if problems else OK
    code = OK
    for path in files:
        try:
            with path.open("rb") as file:
                agent = parse_agent(file.read(MAX_FILE_BYTES + 1), str(path))
        except (UsageError, OSError) as error:
            print_note(f"agent file {path}: {getattr(error, 'strerror', None) or error}")
            code = FAILED
        else:
            print_line(f"{path}: {agent.name}, {plural(agent.round_total, 'round')}")
    return code


def _record(agent: DeclarativeAgent, results: AgentRow | None) -> dict[str, Any]:
    from persistence.rows import AgentRow

    return {
        "name": agent.name,
        "author": agent.author,
        "description": agent.description,
        "rounds": agent.round_total,
        "source": agent.source,
        "options": [options.model_dump(exclude_none=True) for options in agent.options],
        "so_far": (results or AgentRow(agent=agent.name)).model_dump(exclude={"agent"}),
    }


def _read_results(db: Path) -> dict[str, AgentRow]:
    """Return the results of each agent's tasks in the history; empty without a history."""
    from persistence import History

    async def query() -> dict[str, AgentRow]:
        async with History(db) as history:
            return await history.by_agent()

    return asyncio.run(query()) if db.exists() else {}


def _format_options(options: list[dict[str, Any]]) -> str:
    """Format the options that all rounds share, or else those of each round."""
    texts = [", ".join(f"{key} {value}" for key, value in each.items()) or "none" for each in options]
    if len(set(texts)) == 1:
        return "" if texts[0] == "none" else texts[0]
    return "; ".join(f"round {number}: {text}" for number, text in enumerate(texts, 1))


def _format_results(results: dict[str, Any]) -> str:
    if not results["tasks"]:
        return "no tasks yet"
    return (
        f"{plural(results['tasks'], 'task')}, {results['done']} done, {results['failed']} failed,"
        f" {results['cancelled']} cancelled; on average waited {duration(results['waiting_s'])}, turnaround"
        f" {duration(results['turnaround_s'])}; {results['tokens_in']:,} tokens in, {results['tokens_out']:,} out;"
        f" last {local_time(results['last_at'])}"
    )


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())
