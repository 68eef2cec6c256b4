"""`aios-tui settings`."""

from __future__ import annotations

import json
from typing import Any

import click

from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output

MAX_COLUMN = 48
"""Characters: a longer value, such as a path, does not widen the column for all."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common
@click.pass_context
def settings(ctx: click.Context, /, as_json: bool) -> None:
    """Print the settings as they are now and where each comes from."""
    from aios_tui import places

    loaded = settings_of(ctx)
    values: dict[str, Any] = loaded.settings.model_dump(mode="json")
    out = Output()
    if as_json:
        found = {
            key: {"value": value, "from": loaded.origins.get(key, "default"), "help": _help(loaded.settings, key)}
            for key, value in values.items()
        }
        out.line(json.dumps({"config": str(loaded.config), "log": str(places.log_file()), "settings": found}))
        return
    there = "" if loaded.config.exists() else "   (not there)"
    out.line(f"settings file  {loaded.config}{there}")
    out.line(f"log            {places.log_file()}")
    out.line("")
    values["cores"] = ", ".join(loaded.settings.cores)
    shown = {key: "" if value is None else str(value) for key, value in values.items()}
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
