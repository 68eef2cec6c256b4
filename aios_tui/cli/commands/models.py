"""`aios-tui models`."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from aios_tui.cli.commands.models_manage import COMMANDS as KEEPING
from aios_tui.cli.exit_codes import USAGE, WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output

if TYPE_CHECKING:
    from aios_tui.config.settings import Settings
    from engine.cores.port import CoreInfo, ModelInfo


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON line a model.")
@common
@click.pass_context
def models(ctx: click.Context, /, as_json: bool) -> int:
    """List the models of the cores that are set or would be chosen; each one's version and health go to stderr.

    Exit code 2 when no core has any.
    """
    if ctx.invoked_subcommand is not None:
        return WELL
    infos = asyncio.run(_inspect(settings_of(ctx).settings))
    out = Output()
    for info in infos:
        for model in info.models:
            if as_json:
                default = _is_default(model, info)
                out.line(json.dumps({"core": info.name, "default": default, **asdict(model)}, ensure_ascii=False))
            else:
                out.line((f"{info.name:<12}  " if len(infos) > 1 else "") + _row(model, info))
        told = "; ".join(filter(None, (info.why if info.models else "", info.detail)))
        out.say(f"core {info.name}{f' {info.version}' if info.version else ''}, {info.where}: {told}")
    return WELL if any(info.models for info in infos) else USAGE


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


async def _inspect(settings: Settings) -> list[CoreInfo]:
    """How the cores are, looked at without starting them."""
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


def _row(model: ModelInfo, info: CoreInfo) -> str:
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
