"""`aios-tui settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import OK, USAGE
from aios_tui.cli.options import SETTINGS, json_option, read_settings, settings_options
from aios_tui.cli.output import print_error, print_json, print_line

if TYPE_CHECKING:
    from aios_tui.config.settings import Loaded

MAX_COLUMN = 48
"""Widest column in characters: a longer value, such as a path, does not widen it for all."""


@click.command()
@json_option("Print one JSON object.")
@settings_options(*SETTINGS)
def settings(as_json: bool) -> int:
    """Print the current settings and where each comes from.

    An invalid one is reported on stderr, and printed with its default; the exit code is 2 then.
    """
    loaded, problems = read_settings()
    _print_settings(loaded, as_json=as_json)
    for problem in problems:
        print_error(problem)
    return USAGE if problems else OK


def _print_settings(loaded: Loaded, *, as_json: bool) -> None:
    from aios_tui.config import paths
    from aios_tui.config.toml_text import toml_text

    values: dict[str, Any] = loaded.settings.model_dump(mode="json")
    if as_json:
        fields = type(loaded.settings).model_fields
        found = {
            key: {"value": value, "from": loaded.origins.get(key, "default"), "help": fields[key].description or ""}
            for key, value in values.items()
        }
        print_json({"config": str(loaded.config), "log": str(paths.log_file()), "settings": found})
        return
    absent = "" if loaded.config.exists() else "   (does not exist)"
    print_line(f"settings file  {loaded.config}{absent}")
    print_line(f"log            {paths.log_file()}")
    print_line()
    values["cores"] = ", ".join(loaded.settings.cores)
    shown = {key: toml_text(value) for key, value in values.items()}
    first = max(len(key) for key in shown) + 2
    widest = max((len(value) for value in shown.values() if len(value) <= MAX_COLUMN), default=0)
    for key, value in shown.items():
        origin = loaded.origins.get(key, "default")
        if len(value) <= widest:
            print_line(f"{key:<{first}}{value:<{widest}}  {origin}")
        else:  # the origin goes to its column on the next line
            print_line(f"{key:<{first}}{value}\n{'':<{first + widest}}  {origin}")
