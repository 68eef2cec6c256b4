"""`aios-tui cores`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from aios_tui.cli.exit_codes import FAILED, OK, USAGE
from aios_tui.cli.options import json_option, load_settings, settings_options
from aios_tui.cli.output import print_json, print_line, print_note, table_lines

if TYPE_CHECKING:
    from engine.cores.discovery import DiscoveredCore

_HEAD = ("", "core", "kind", "state", "slots", "models", "default model", "version", "where")


@click.command()
@json_option("Print one JSON line per core.")
@settings_options("config", "core", "model", "slots")
def cores(as_json: bool) -> int:
    """List configured and discovered cores with their health and slots; * marks those that tasks would run on.

    Exit code 0 when all marked cores can be used, 1 when some can't, 2 when none can.
    """
    from engine.cores.discovery import discover_cores

    settings = load_settings().settings
    found = asyncio.run(discover_cores(settings.core, **settings.core_arguments()))
    if as_json:
        for core in found:
            print_json(_record(core))
    else:
        head, *rows = table_lines([_HEAD, *map(_row, found)], left=len(_HEAD))
        print_line(head)
        for core, row in zip(found, rows, strict=True):
            print_line(f"{row}\n   {core.problem}" if core.problem else row)
    usable = [core.usable for core in found if core.chosen]
    if not any(usable):
        if not usable:
            print_note("no core to run tasks on: start Ollama, or run `aios-tui models fetch` for the embedded model")
        return USAGE
    return OK if all(usable) else FAILED


def _record(core: DiscoveredCore) -> dict[str, object]:
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
