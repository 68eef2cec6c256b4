"""`aios-tui settings`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import USAGE, WELL
from aios_tui.cli.options import common, readable_settings_of
from aios_tui.cli.output import Output

if TYPE_CHECKING:
    from aios_tui.config.settings import Loaded

MAX_COLUMN = 48
"""Characters: a longer value, such as a path, does not widen the column for all."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common
@click.pass_context
def settings(ctx: click.Context, /, as_json: bool) -> int:
    """Print the settings as they are now and where each comes from.

    A bad one is named on stderr, and shown as it is by default; the exit code is 2 then.
    """
    loaded, problems = readable_settings_of(ctx)
    out = Output()
    _print(loaded, out, as_json=as_json)
    for problem in problems:
        out.say(f"aios-tui: {problem}")
    return USAGE if problems else WELL


def _print(loaded: Loaded, out: Output, *, as_json: bool) -> None:
    from aios_tui.config import paths
    from aios_tui.config.toml_text import toml_text

    values: dict[str, Any] = loaded.settings.model_dump(mode="json")
    if as_json:
        found = {
            key: {"value": value, "from": loaded.origins.get(key, "default"), "help": _help(loaded.settings, key)}
            for key, value in values.items()
        }
        out.line(json.dumps({"config": str(loaded.config), "log": str(paths.log_file()), "settings": found}))
        return
    there = "" if loaded.config.exists() else "   (not there)"
    out.line(f"settings file  {loaded.config}{there}")
    out.line(f"log            {paths.log_file()}")
    out.line("")
    values["cores"] = ", ".join(loaded.settings.cores)
    shown = {key: toml_text(value) for key, value in values.items()}
    first = max(len(key) for key in shown) + 2
    widest = max((len(value) for value in shown.values() if len(value) <= MAX_COLUMN), default=0)
    for key, value in shown.items():
        origin = loaded.origins.get(key, "default")
        if len(value) <= widest:
            out.line(f"{key:<{first}}{value:<{widest}}  {origin}")
        else:  # its origin keeps to its column, on a line of its own
            out.line(f"{key:<{first}}{value}\n{'':<{first + widest}}  {origin}")


def _help(of: Any, key: str) -> str:
    return type(of).model_fields[key].description or ""
