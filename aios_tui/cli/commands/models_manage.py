"""`aios-tui models show|pull|rm|load|unload`: manage the models of a core such as an Ollama server."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aios_tui.cli.exit_codes import OK, USAGE, CommandFailed
from aios_tui.cli.options import json_option, load_settings, settings_options, with_options
from aios_tui.cli.output import are_terminals, duration, print_json, print_line, print_note
from aios_tui.cli.pull_progress import pull_progress
from engine.errors import CoreError, UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.config.settings import Settings
    from engine.cores.model_management import ModelManager
    from engine.cores.port import Core, ModelInfo

T = TypeVar("T")

PROBE_S = 5.0
"""Seconds that `auto` waits for an Ollama server to answer."""


@dataclass(frozen=True, slots=True)
class ManagingCore:
    """A core whose models can be managed, and its interface for that."""

    core: Core
    manager: ModelManager

    async def find_model(self, name: str) -> ModelInfo | None:
        """Return the current state of one of its models, None when it has none of that name."""
        return next(
            (model for model in (await self.core.inspect()).models if name in (model.name, *model.aliases)), None
        )


@asynccontextmanager
async def managing_core(settings: Settings, having: str | None = None) -> AsyncIterator[ManagingCore]:
    """Provide the one configured core whose models can be managed; of several the one that has the model `having`.

    `auto` without configured cores means Ollama, also with no model yet, because it may get one. Where none answers and
    the embedded core is available, it means that.

    Raises:
        UsageError: no core manages models, or several could be meant. CoreError: none can be reached or has the model.
    """
    from engine.cores.factory import choose_cores
    from engine.cores.model_management import model_manager_of

    automatic = settings.core == "auto" and not settings.cores
    choices = await choose_cores("ollama" if automatic else settings.core, **settings.core_arguments())
    try:
        if automatic:
            await _check_answers(choices[0].core)
        managers = [(each.core, model_manager_of(each.core)) for each in choices]
        able = [ManagingCore(core, manager) for core, manager in managers if manager is not None]
        if not able:
            names = " and ".join(core.name for core, _ in managers)
            none = f"the {names} core has" if len(managers) == 1 else f"the cores {names} have"
            raise UsageError(f"{none} no models to manage; --core ollama@URL names one that has")
        yield able[0] if len(able) == 1 else await _pick_core(able, having, settings)
    finally:
        for each in choices:
            await each.core.stop(drain_s=0)


async def _check_answers(core: Core) -> None:
    """Raise UsageError when this Ollama server does not answer, so that `auto` means the embedded core."""
    from engine.cores.embedded.core import available
    from engine.cores.ollama.core import OllamaCore

    fault = await core.probe(PROBE_S) if isinstance(core, OllamaCore) else None
    if fault is not None and available() is None:
        raise UsageError(
            f"the embedded core, which auto means here, has no models to manage: {fault.reason};"
            " --core ollama@URL names one elsewhere"
        )


async def _pick_core(cores: list[ManagingCore], having: str | None, settings: Settings) -> ManagingCore:
    """Return the one of several cores that has the model `having`. Raises UsageError or CoreError."""
    if having is None:
        names = [
            each.core.name if each.core.name in settings.cores else f"ollama@{(await each.core.inspect()).where}"
            for each in cores
        ]
        raise UsageError(f"which core is to have it? {' or '.join(f'--core {name}' for name in names)}")
    models = await asyncio.gather(*(each.find_model(having) for each in cores))
    holders = [each for each, model in zip(cores, models, strict=True) if model is not None]
    if len(holders) > 1:
        raise UsageError(f"{' and '.join(each.core.name for each in holders)} have {having}; --core NAME picks one")
    if not holders:
        names_text = " and ".join(each.core.name for each in cores)
        raise CoreError(f"neither of {names_text} has a model '{one_line(having, 80)}'")
    return holders[0]


def _with_core(having: str | None, work: Callable[[ManagingCore], Awaitable[T]]) -> T:
    """Return the result of `work` on the managing core. Raises CommandFailed when the server refuses or breaks off."""

    async def run() -> T:
        async with managing_core(load_settings().settings, having) as core:
            return await work(core)

    try:
        return asyncio.run(run())
    except CoreError as error:
        raise CommandFailed(str(error)) from None


def _on_core(*, installed: bool = True) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Run a coroutine on the managing core, its first argument; if `installed`, on the one that has the model."""

    def decorate(work: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        @wraps(work)
        def command(name: str, **given: Any) -> None:
            _with_core(name if installed else None, lambda core: work(core, name, **given))

        return command

    return decorate


def _model_command(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], click.Command]:
    """Create a subcommand of `models` with the argument NAME, `options`, `--json` and the settings that pick a core."""

    argument, json = click.argument("name", metavar="NAME"), json_option("Print JSON lines.")
    add = with_options(argument, *options, json, settings_options("config", "core"))
    return lambda command: click.command()(add(command))


@_model_command()
@_on_core()
async def show(core: ManagingCore, name: str, *, as_json: bool) -> None:
    """Show a model: family, size, context, template and more."""
    from aios_tui.formatting.models import details

    shown = await core.manager.show(name)
    if as_json:
        values: dict[str, Any] = asdict(shown)
        print_json({"core": core.core.name, **values.pop("info"), **values})
        return
    print_line(shown.info.name)
    for label, text in details(shown, time.time()):
        for number, line in enumerate(text.splitlines() or [""]):
            print_line(f"  {label if number == 0 else '':<12} {line}")


@_model_command()
@_on_core(installed=False)
async def pull(core: ManagingCore, name: str, *, as_json: bool) -> None:
    """Download a model to the server.

    Ctrl-C stops the download, and the next pull resumes it.
    """
    with pull_progress(core.core.name, name, as_json=as_json) as report:
        async with aclosing(core.manager.pull(name)) as steps:
            async for step in steps:
                report(step)
    if not as_json:
        found = await core.find_model(name)
        print_note("pulled" if found is None or found.size is None else f"pulled, {_format_size(found.size)}")
        print_line(name if found is None else found.name)


async def _delete(core: ManagingCore, name: str, *, as_json: bool) -> None:
    found = await core.find_model(name)
    full_name = found.name if found else name
    await core.manager.delete(full_name)
    _print_done(core, full_name, "deleted", as_json=as_json)


async def _question(core: ManagingCore, name: str) -> str:
    """Return the question to ask before deletion; empty for an unknown model, which deleting it reports better."""
    found = await core.find_model(name)
    if found is None:
        return ""
    size = "" if found.size is None else f", {_format_size(found.size)}"
    loaded = ", in memory now," if found.loaded else ""
    return one_line(f"Delete {found.name}{size}{loaded} at {(await core.core.inspect()).where}?", 300)


@_model_command(click.option("--yes", is_flag=True, help="Do not ask."))
def rm(name: str, *, yes: bool, as_json: bool) -> int:
    """Delete an installed model, after asking."""
    if not yes:  # asks outside the event loop, where ctrl-C ends the question
        question = _with_core(name, lambda core: _question(core, name))
        if not are_terminals(sys.stdin, sys.stderr):
            raise click.UsageError("no terminal to ask on: give --yes to delete it")
        if question and not click.confirm(question, err=True):
            print_note("not deleted")
            return USAGE
    _with_core(name, lambda core: _delete(core, name, as_json=as_json))
    return OK


@_model_command(
    click.option("--keep-alive", metavar="TIME", help="Unload it when unused for TIME: seconds, 10m, 24h; -1: never.")
)
@_on_core()
async def load(core: ManagingCore, name: str, *, keep_alive: str | None, as_json: bool) -> None:
    """Load a model into memory now."""
    from aios_tui.formatting.models import memory, warning

    seconds = await core.manager.load(name, keep_alive)
    if (found := await core.find_model(name)) is not None:
        print_note("; ".join(filter(None, (memory(found, time.time()), warning(found)))))
    done = f"loaded in {duration(seconds)}"
    _print_done(core, found.name if found else name, done, as_json=as_json, seconds=seconds)


@_model_command()
@_on_core()
async def unload(core: ManagingCore, name: str, *, as_json: bool) -> None:
    """Remove a model from memory.

    One that is answering is removed when its requests have ended.
    """
    await core.manager.unload(name)
    found = await core.find_model(name)
    busy = found is not None and found.loaded
    if busy:
        print_note("it is still answering, and is unloaded when that has ended")
    _print_done(core, found.name if found else name, "to be unloaded" if busy else "unloaded", as_json=as_json)


COMMANDS = (show, pull, rm, load, unload)


def _print_done(core: ManagingCore, model: str, done: str, *, as_json: bool, seconds: float | None = None) -> None:
    """Print the line of data that says what was done."""
    if as_json:
        took = {} if seconds is None else {"seconds": round(seconds, 3)}
        print_json({"core": core.core.name, "model": model, "done": done, **took})
    else:
        print_line(f"{model} {done}")


def _format_size(count: int) -> str:
    from aios_tui.formatting import numbers

    return numbers.size(count)
