"""`aios-tui models`."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from aios_tui.cli.exits import USAGE, WELL
from aios_tui.cli.keeping import COMMANDS as KEEPING
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output

if TYPE_CHECKING:
    from aios_tui.settings import Settings
    from engine.cores.port import CoreInfo, ModelInfo


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON line a model.")
@common
@click.pass_context
def models(ctx: click.Context, /, as_json: bool) -> int:
    """List the models of the core that is set or would be chosen; its version and health go to stderr.

    Exit code 2 when the core can't be used.
    """
    if ctx.invoked_subcommand is not None:
        return WELL
    info = asyncio.run(_inspect(settings_of(ctx).settings))
    out = Output()
    for model in info.models:
        if as_json:
            default = model.name == info.default_model
            out.line(json.dumps({"core": info.name, "default": default, **asdict(model)}, ensure_ascii=False))
        else:
            out.line(_row(model, info))
    told = "; ".join(filter(None, (info.why if info.models else "", info.detail)))
    out.say(f"core {info.name}{f' {info.version}' if info.version else ''}, {info.where}: {told}")
    return WELL if info.models else USAGE


for command in KEEPING:
    models.add_command(command)


@models.command()
@common
def fetch() -> int:
    """Fetch the embedded model's weights (SmolLM2-135M-Instruct, 98 MB, checked), unless they are there and sound."""
    from engine.cores.embedded import weights
    from engine.cores.embedded.weights_fetch import fetch_weights
    from engine.errors import CoreError

    out = Output()
    try:
        found = weights.find()
        weights.verify(found)
    except CoreError:
        pass  # none, or damaged: that is what fetching is for
    else:
        out.say("the weights are there, and sound")
        out.line(str(found))
        return WELL
    out.line(str(fetch_weights(progress=out.say)))
    return WELL


async def _inspect(settings: Settings) -> CoreInfo:
    """How the core is, looked at without starting it."""
    from dataclasses import replace

    from engine.cores.select import choose_core

    choice = await choose_core(
        settings.core,
        configured=settings.cores,
        slots=settings.slots,
        default_model=settings.model,
        environ=os.environ,
    )
    try:
        return replace(await choice.core.inspect(), why=choice.why)
    finally:
        await choice.core.stop(drain_s=0)


def _row(model: ModelInfo, info: CoreInfo) -> str:
    from aios_tui.model_words import memory
    from aios_tui.widgets import words

    parts = [f"{model.name:<28}", f"{words.size(model.size):>7}"]
    if model.loaded:
        parts.append(memory(model, time.time()))
    if model.capabilities:
        parts.append(", ".join(model.capabilities))
    if model.name == info.default_model or (info.default_model or "") in model.aliases:
        parts.append("default")
    return "  ".join(parts)
