"""`aios-tui models …`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from aios_tui.cli.commands import models_manage
from aios_tui.cli.exit_codes import OK, USAGE
from aios_tui.cli.options import json_option, load_settings, settings_options
from aios_tui.cli.output import print_json, print_line, print_note

if TYPE_CHECKING:
    from aios_tui.config.settings import Settings
    from engine.cores.port import CoreInfo, ModelInfo


@click.group(invoke_without_command=True)
@json_option("Print one JSON line per model.")
@settings_options("config", "core", "model")
@click.pass_context
def models(ctx: click.Context, /, as_json: bool) -> int:
    """List the models of the cores that tasks would run on, or manage those of a server such as Ollama.

    Each core's version and health go to stderr. Exit code 2 when no core has a model.
    """
    if ctx.invoked_subcommand is not None:
        return OK
    infos = asyncio.run(_inspect_cores(load_settings().settings))
    for info in infos:
        for model in info.models:
            if as_json:
                print_json({"core": info.name, "default": _is_default(model, info), **asdict(model)})
            else:
                print_line((f"{info.name:<12}  " if len(infos) > 1 else "") + _format_row(model, info))
        health = "; ".join(filter(None, (info.why if info.models else "", info.detail)))
        print_note(f"core {info.name}{f' {info.version}' if info.version else ''}, {info.where}: {health}")
    return OK if any(info.models for info in infos) else USAGE


for command in models_manage.COMMANDS:
    models.add_command(command)


@models.command()
@settings_options()
def fetch() -> None:
    """Download and verify the weights of the embedded model.

    SmolLM2-135M-Instruct, 98 MB. Nothing is downloaded when they are there and intact.
    """
    from engine.cores.embedded import weights
    from engine.cores.embedded.weights_fetch import fetch_weights
    from engine.errors import CoreError

    try:
        path = weights.find()
        weights.verify(path)
        print_note("the weights are installed and intact")
    except CoreError:  # none, or damaged
        path = fetch_weights(progress=print_note)
    print_line(str(path))


async def _inspect_cores(settings: Settings) -> list[CoreInfo]:
    """Return the state of the chosen cores, without starting them."""
    from dataclasses import replace

    from engine.cores.factory import choose_cores

    choices = await choose_cores(settings.core, **settings.core_arguments())
    try:
        infos = await asyncio.gather(*(choice.core.inspect() for choice in choices))
        return [replace(info, why=choice.why) for info, choice in zip(infos, choices, strict=True)]
    finally:
        for choice in choices:
            await choice.core.stop(drain_s=0)


def _is_default(model: ModelInfo, info: CoreInfo) -> bool:
    return info.default_model is not None and info.default_model in (model.name, *model.aliases)


def _format_row(model: ModelInfo, info: CoreInfo) -> str:
    from aios_tui.formatting import numbers
    from aios_tui.formatting.models import memory

    parts = [f"{model.name:<28}", f"{numbers.size(model.size):>7}"]
    if model.loaded:
        parts.append(memory(model, time.time()))
    if model.capabilities:
        parts.append(", ".join(model.capabilities))
    if _is_default(model, info):
        parts.append("default")
    return "  ".join(parts)
