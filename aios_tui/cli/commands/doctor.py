"""`aios-tui doctor`."""

from __future__ import annotations

import asyncio

import click

from aios_tui.cli.exit_codes import FAILED, OK
from aios_tui.cli.options import json_option, read_settings, settings_options
from aios_tui.cli.output import print_json, print_line


@click.command()
@json_option("Print one JSON line per check.")
@settings_options("config", "db", "core", "model", "slots", "theme")
def doctor(as_json: bool) -> int:
    """Check versions, settings, paths, agents, themes, history, cores, GPU and terminal.

    Each line begins with ok, warn or fail, and says what to do. Exit code 1 when one is fail. A history that a running
    console owns is read, too.
    """
    from aios_tui.cli.diagnostics.all_checks import all_checks

    code = OK
    for check in asyncio.run(all_checks(*read_settings(check_theme=False))):
        if check.state == "fail":
            code = FAILED
        if as_json:
            print_json({"check": check.name, "state": check.state, "detail": check.detail, "advice": check.advice})
        else:
            advice = f" → {check.advice}" if check.advice else ""
            print_line(f"{check.state:<4}  {check.name:<9}  {check.detail}{advice}")
    return code
