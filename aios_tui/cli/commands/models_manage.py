"""`aios-tui models show|pull|rm|load|unload`: the models of a core that keeps its own, such as an Ollama server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import FAILED, USAGE, WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output, duration
from aios_tui.cli.pull_progress import telling
from engine.errors import CoreError, UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.config.settings import Settings
    from engine.cores.model_management import ModelManager
    from engine.cores.port import Core, CoreInfo, ModelInfo

PROBE_S = 5.0
"""How long `auto` waits for an Ollama server to say that it is there."""

_json = click.option("--json", "as_json", is_flag=True, help="JSON lines.")
_name = click.argument("name", metavar="NAME")


@dataclass(frozen=True, slots=True)
class ManagedModel:
    """A core, and the same as a keeper of models."""

    core: Core
    keeper: ModelManager

    async def now(self) -> CoreInfo:
        return await self.core.inspect()

    async def model(self, name: str) -> ModelInfo | None:
        """One of its models as it is now, None when it has none of that name."""
        return next((model for model in (await self.now()).models if name in (model.name, *model.aliases)), None)


@asynccontextmanager
async def keeper(settings: Settings, having: str | None = None) -> AsyncIterator[ManagedModel]:
    """The one core that is set and keeps models; of several the one that has the model `having`.

    `auto` without cores of the user's own means Ollama, also one that has no model yet: it may get one. Where none
    answers and there is the embedded core, it means that.

    Raises:
        UsageError: none of the cores keeps models, or several may be meant. CoreError: none can be had, or has it.
    """
    from engine.cores.factory import choose_cores
    from engine.cores.model_management import model_manager_of

    found_out = settings.core == "auto" and not settings.cores
    choices = await choose_cores("ollama" if found_out else settings.core, **settings.core_arguments())
    try:
        if found_out:
            await _must_answer(choices[0].core)
        found = [(each.core, model_manager_of(each.core)) for each in choices]
        keepers = [ManagedModel(core, keeper) for core, keeper in found if keeper is not None]
        if not keepers:
            names = " and ".join(core.name for core, _ in found)
            none = f"the {names} core has" if len(found) == 1 else f"the cores {names} have"
            raise UsageError(f"{none} no models to manage; --core ollama@URL names one that has")
        yield keepers[0] if len(keepers) == 1 else await _picked(keepers, having, settings)
    finally:
        for each in choices:
            await each.core.stop(drain_s=0)


async def _must_answer(core: Core) -> None:
    """Raise UsageError when this Ollama server does not answer and tasks run on the embedded core in its place."""
    from engine.cores.embedded.core import available
    from engine.cores.ollama.core import OllamaCore

    fault = await core.probe(PROBE_S) if isinstance(core, OllamaCore) else None
    if fault is not None and available() is None:
        told = f"the embedded core, which auto means here, has no models to manage: {fault.reason}"
        raise UsageError(f"{told}; --core ollama@URL names one elsewhere")


async def _picked(keepers: list[ManagedModel], having: str | None, settings: Settings) -> ManagedModel:
    """Out of several the one that has the model."""
    names = " and ".join(kept.core.name for kept in keepers)
    if having is None:
        choices = [
            each.core.name if each.core.name in settings.cores else f"ollama@{(await each.now()).where}"
            for each in keepers
        ]
        raise UsageError(f"which core is to have it? {' or '.join(f'--core {choice}' for choice in choices)}")
    models = await asyncio.gather(*(kept.model(having) for kept in keepers))
    holders = [kept for kept, model in zip(keepers, models, strict=True) if model is not None]
    if len(holders) > 1:
        raise UsageError(f"{' and '.join(kept.core.name for kept in holders)} have {having}; --core NAME picks one")
    if not holders:
        raise CoreError(f"neither of {names} has a model '{one_line(having, 80)}'")
    return holders[0]


def _carry_out(
    ctx: click.Context, work: Callable[[ManagedModel], Awaitable[None]], *, having: str | None = None
) -> int:
    """Run `work` on the keeper; what the server refuses is a failure of one line."""

    async def carried_out() -> int:
        try:
            async with keeper(settings_of(ctx).settings, having) as kept:
                await work(kept)
        except CoreError as error:
            Output().say(f"aios-tui: {error}")
            return FAILED
        return WELL

    return asyncio.run(carried_out())


@click.command()
@_name
@_json
@common
@click.pass_context
def show(ctx: click.Context, /, name: str, as_json: bool) -> int:
    """Show all about one model."""

    async def work(kept: ManagedModel) -> None:
        from aios_tui.formatting.models import details

        shown = await kept.keeper.show(name)
        out = Output()
        if as_json:
            values: dict[str, Any] = asdict(shown)
            out.line(json.dumps({"core": kept.core.name, **values.pop("info"), **values}, ensure_ascii=False))
            return
        out.line(shown.info.name)
        for label, text in details(shown, time.time()):
            first, *rest = text.splitlines()
            out.line(f"  {label:<12} {first}")
            for line in rest:
                out.line(f"  {'':<12} {line}")

    return _carry_out(ctx, work, having=name)


@click.command()
@_name
@_json
@common
@click.pass_context
def pull(ctx: click.Context, /, name: str, as_json: bool) -> int:
    """Fetch a model; ctrl-C stops it, and the next pull goes on from there."""

    async def work(kept: ManagedModel) -> None:
        out = Output()
        with telling(kept.core.name, name, out, as_json=as_json) as report:
            async with aclosing(kept.keeper.pull(name)) as steps:
                async for step in steps:
                    report(step)
        if not as_json:
            found = await kept.model(name)
            out.say("pulled" if found is None or found.size is None else f"pulled, {_size(found.size)}")
            out.line(name if found is None else found.name)

    return _carry_out(ctx, work)


@click.command()
@_name
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
@common
@click.pass_context
def rm(ctx: click.Context, /, name: str, yes: bool, as_json: bool) -> int:
    """Delete an installed model, after asking."""
    out = Output()
    if not yes:
        try:
            question = asyncio.run(_question(settings_of(ctx).settings, name))
        except CoreError as error:
            out.say(f"aios-tui: {error}")
            return FAILED
        if not _can_ask():  # after it is known that something could be deleted there
            raise click.UsageError("without a terminal nobody can be asked: give --yes to delete it")
        if question and not click.confirm(question, err=True):
            out.say("not deleted")
            return USAGE

    async def work(kept: ManagedModel) -> None:
        found = await kept.model(name)
        called = name if found is None else found.name
        await kept.keeper.delete(called)
        _told(out, kept, called, "deleted", as_json=as_json)

    return _carry_out(ctx, work, having=name)


def _can_ask() -> bool:
    """Whether a person sits there: the question goes to stderr, the answer comes from stdin."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


async def _question(settings: Settings, name: str) -> str:
    """What to ask before deleting; nothing when there is no such model, which deleting it says better."""
    async with keeper(settings, name) as kept:
        found, where = await kept.model(name), (await kept.now()).where
    if found is None:
        return ""
    size = "" if found.size is None else f", {_size(found.size)}"
    loaded = ", in memory now," if found.loaded else ""
    return one_line(f"Delete {found.name}{size}{loaded} at {where}?", 300)


@click.command()
@_name
@click.option("--keep-alive", metavar="TIME", help="How long without use: seconds, 10m, 24h; -1 is for ever.")
@_json
@common
@click.pass_context
def load(ctx: click.Context, /, name: str, keep_alive: str | None, as_json: bool) -> int:
    """Have a model in memory now."""

    async def work(kept: ManagedModel) -> None:
        from aios_tui.formatting.models import memory, warning

        took = await kept.keeper.load(name, keep_alive)
        found = await kept.model(name)
        out = Output()
        if found is not None:
            out.say(f"{memory(found, time.time())}{f'; {told}' if (told := warning(found)) else ''}")
        called = name if found is None else found.name
        _told(out, kept, called, f"loaded in {duration(took)}", as_json=as_json, seconds=took)

    return _carry_out(ctx, work, having=name)


@click.command()
@_name
@_json
@common
@click.pass_context
def unload(ctx: click.Context, /, name: str, as_json: bool) -> int:
    """Take a model out of memory now."""

    async def work(kept: ManagedModel) -> None:
        await kept.keeper.unload(name)
        found = await kept.model(name)
        out = Output()
        answering = found is not None and found.loaded
        if answering:
            out.say("it still answers; it goes when that has ended")
        _told(out, kept, name if found is None else found.name, "to be unloaded" if answering else "unloaded",
              as_json=as_json)  # fmt: skip

    return _carry_out(ctx, work, having=name)


COMMANDS = (show, pull, rm, load, unload)


def _told(
    out: Output, kept: ManagedModel, model: str, done: str, *, as_json: bool, seconds: float | None = None
) -> None:
    """The one line of data that says what was done."""
    if as_json:
        took = {} if seconds is None else {"seconds": round(seconds, 3)}
        out.line(json.dumps({"core": kept.core.name, "model": model, "done": done, **took}, ensure_ascii=False))
    else:
        out.line(f"{model} {done}")


def _size(count: int) -> str:
    from aios_tui.formatting import numbers

    return numbers.size(count)
