"""`aios-tui doctor`."""

from __future__ import annotations

import asyncio
import json

import click

from aios_tui.cli.exit_codes import FAILED, WELL
from aios_tui.cli.options import common, readable_settings_of
from aios_tui.cli.output import Output


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON line a check.")
@common
@click.pass_context
def doctor(ctx: click.Context, /, as_json: bool) -> int:
    """Check versions, settings, paths, agents, themes, history, cores, GPU and terminal.

    Each line says ok, warn or fail, and what to do.
    Exit code 1 when one says fail. A history that a console owns is read, too.
    """
    from aios_tui.cli.diagnostics.all_checks import all_checks

    out = Output()
    failed = False
    for found in asyncio.run(all_checks(*readable_settings_of(ctx))):
        failed = failed or found.state == "fail"
        if as_json:
            line = {"check": found.name, "state": found.state, "detail": found.detail, "advice": found.advice}
            out.line(json.dumps(line, ensure_ascii=False))
        else:
            advice = f" → {found.advice}" if found.advice else ""
            out.line(f"{found.state:<4}  {found.name:<9}  {found.detail}{advice}")
    return FAILED if failed else WELL
