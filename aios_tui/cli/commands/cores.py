"""`aios-tui cores`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import click

from aios_tui.cli.exit_codes import FAILED, USAGE, WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output

if TYPE_CHECKING:
    from engine.cores.discovery import DiscoveredCore

_HEAD = ("", "core", "kind", "state", "slots", "models", "default model", "version", "where")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON line a core.")
@common
@click.pass_context
def cores(ctx: click.Context, /, as_json: bool) -> int:
    """List the configured cores and those found here, with health and slots; * marks those that tasks would run on.

    Exit code 0 when all of those can be used, 1 when some can't, 2 when none can.
    """
    from engine.cores.discovery import discover_cores

    settings = settings_of(ctx).settings
    found = asyncio.run(discover_cores(settings.core, **settings.core_arguments()))
    out = Output()
    if as_json:
        for each in found:
            out.line(json.dumps(_values(each), ensure_ascii=False))
    else:
        _table(found, out)
    usable = [each.usable for each in found if each.chosen]
    if not usable:
        out.say("there is nothing to run on: start Ollama, or `aios-tui models fetch` for the embedded model")
    return WELL if usable and all(usable) else FAILED if any(usable) else USAGE


def _values(core: DiscoveredCore) -> dict[str, object]:
    info = core.info
    return {
        "core": core.name,
        "kind": core.kind,
        "configured": core.configured,
        "chosen": core.chosen,
        "usable": core.usable,
        "detail": core.problem,
        "slots": core.slots,
        "slots_from": core.slots_from,
        "models": len(info.models),
        "default_model": info.default_model,
        "version": info.version,
        "where": info.where,
        "one_model": info.one_model,
        "key_env": core.key_env,
        "key_set": core.key_set,
    }


def _table(found: list[DiscoveredCore], out: Output) -> None:
    rows = [_HEAD, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for number, row in enumerate(rows):
        out.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number and (problem := found[number - 1].problem):
            out.line(f"   {problem}")


def _row(core: DiscoveredCore) -> tuple[str, ...]:
    info = core.info
    return (
        "*" if core.chosen else "",
        core.name,
        core.kind,
        "up" if core.usable else "down",
        f"{core.slots} {core.slots_from}" if core.slots else "-",
        str(len(info.models)) if info.models else "-",
        info.default_model or "-",
        info.version or "-",
        info.where or "-",
    )
