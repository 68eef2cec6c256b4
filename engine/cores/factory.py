"""Makes the cores of a `--core` choice, each with the reason why it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from engine.cores.config import CoreConfig
from engine.cores.core_spec import CoreSpec, parse_cores
from engine.cores.ollama.address import Address, parse_address
from engine.cores.port import Core
from engine.errors import CoreError, UsageError
from engine.wording import plural

if TYPE_CHECKING:
    from engine.cores.ollama.core import OllamaCore

_NONE: Mapping[str, CoreConfig] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CoreChoice:
    """A core, not started yet. `why` is the reason for the choice, a short sentence for people."""

    core: Core
    why: str


@dataclass(frozen=True, slots=True)
class _Defaults:
    """The arguments that all cores of a choice share. `must_answer`: no answer at the start is an error."""

    slots: int | None
    default_model: str | None
    environ: Mapping[str, str]
    must_answer: bool
    keys: Path | None


def check_core_choice(choice: str, configured: Mapping[str, CoreConfig] = _NONE) -> None:
    """Raise UsageError with one line if the choice is invalid. Nothing but its text is looked at."""
    parse_cores(choice, configured)


async def choose_cores(
    choice: str,
    *,
    configured: Mapping[str, CoreConfig] = _NONE,
    slots: int | None = None,
    default_model: str | None = None,
    probe_s: float = 1.0,
    environ: Mapping[str, str],
    keys: Path | None = None,
) -> list[CoreChoice]:
    """Return the cores of `choice`, at least one. None is started; the caller starts and stops them.

    A single server has to answer when it is started. Of several, those that do not answer are down until they do.

    Args:
        choice: names of `configured` and forms, see `engine.cores.core_spec`. `auto` takes all that are configured;
            with none, Ollama if it answers within `probe_s` seconds and has a chat model, else the embedded model.
        slots: the number of attempts at a time, for cores whose own table does not set it.
        default_model: the model for tasks that name none, likewise.
        environ: the source of `OLLAMA_HOST` and keys. keys: a file with keys.

    Raises:
        UsageError: a bad choice, OLLAMA_HOST or key, or a file of keys that others may read.
        CoreError: no core can be made.
    """
    if slots is not None and slots < 1:
        raise UsageError(f"a core needs at least one slot, not {slots}")
    wanted = parse_cores(choice, configured)
    if wanted is None:
        return [await _auto(environ, slots, default_model, probe_s)]
    return [
        make_core(
            each,
            slots=slots,
            default_model=default_model,
            environ=environ,
            keys=keys,
            must_answer=len(wanted) == 1,
        )
        for each in wanted
    ]


async def choose_core(
    choice: str,
    *,
    configured: Mapping[str, CoreConfig] = _NONE,
    slots: int | None = None,
    default_model: str | None = None,
    probe_s: float = 1.0,
    environ: Mapping[str, str],
    keys: Path | None = None,
) -> CoreChoice:
    """Like `choose_cores`, for a choice of one core. Raises UsageError for several, too."""
    wanted = parse_cores(choice, configured)
    if wanted is not None and len(wanted) > 1:
        raise UsageError(f"name one core out of {', '.join(each.name for each in wanted)}")
    (chosen,) = await choose_cores(
        choice,
        configured=configured,
        slots=slots,
        default_model=default_model,
        probe_s=probe_s,
        environ=environ,
        keys=keys,
    )
    return chosen


def make_core(
    wanted: CoreSpec,
    *,
    slots: int | None,
    default_model: str | None,
    environ: Mapping[str, str],
    keys: Path | None = None,
    must_answer: bool,
) -> CoreChoice:
    """Make one core. `must_answer`: its start fails if it does not answer."""
    defaults = _Defaults(slots, default_model, environ, must_answer, keys)
    config, asked = wanted.config, "as configured" if wanted.configured else "as asked for"
    match config.family:
        case "embedded":
            return _embedded(config.slots or defaults.slots, f"the embedded model, {asked}", wanted.name)
        case "scripted":
            return _scripted(wanted, defaults, f"scripted replies, {asked}")
        case "openai":
            return _openai(wanted, defaults, asked)
        case "plugin":
            return _plugin(wanted, defaults, asked)
        case _:
            address = parse_address(config.url) if config.url else _address_in(defaults.environ)
            return _ollama(wanted, address, defaults, f"Ollama at {address.label}, {asked}")


def _ollama(wanted: CoreSpec, address: Address, defaults: _Defaults, why: str) -> CoreChoice:
    from engine.cores.ollama.core import OllamaCore

    config = wanted.config
    core = OllamaCore(
        address,
        slots=config.slots or defaults.slots,
        name=wanted.name,
        default_model=config.model or defaults.default_model,
        must_answer=defaults.must_answer,
        one_model=config.one_model,
        environ=defaults.environ,
        why=why,
    )
    return CoreChoice(core, why)


def _openai(wanted: CoreSpec, defaults: _Defaults, asked: str) -> CoreChoice:
    from engine.cores.api_keys import find_key
    from engine.cores.openai.core import OpenAICore

    config, preset = wanted.config, wanted.config.preset
    key_env = config.key_env or (preset.key_env if preset else None)
    core = OpenAICore(
        name=wanted.name,
        base_url=config.url or (preset.base_url if preset else ""),
        key=find_key(key_env, environ=defaults.environ, file=config.key_file or defaults.keys),
        key_env=key_env,
        slots=config.slots or defaults.slots or (preset.slots if preset else 4),
        default_model=config.model or defaults.default_model,
        priority=config.priority,
        preset=preset,
        must_answer=defaults.must_answer,
    )
    core.why = f"{preset.title if preset else 'the server'} at {core.address.label}, {asked}"
    return CoreChoice(core, core.why)


def _plugin(wanted: CoreSpec, defaults: _Defaults, asked: str) -> CoreChoice:
    from engine.cores.api_keys import find_key
    from engine.cores.plugins import CoreSettings, make_plugin_core, plugin_package

    config = wanted.config
    settings = CoreSettings(
        name=wanted.name,
        kind=config.kind,
        url=config.url,
        slots=config.slots or defaults.slots,
        default_model=config.model or defaults.default_model,
        api_key=find_key(config.key_env, environ=defaults.environ, file=config.key_file or defaults.keys),
        options=config.options,
        must_answer=defaults.must_answer,
        why=f"{config.kind} of {plugin_package(config.kind)}, {asked}",
    )
    return CoreChoice(make_plugin_core(settings), settings.why)


def _scripted(wanted: CoreSpec, defaults: _Defaults, why: str) -> CoreChoice:
    from engine.cores.scripted import ScriptedCore

    config = wanted.config
    options = ScriptedCore.parse(config.script or "", slots=config.slots or defaults.slots).options
    if config.model is not None:
        options = options.model_copy(update={"model": config.model})
    core = ScriptedCore(options, name=wanted.name)
    core.why = why
    return CoreChoice(core, why)


def _embedded(slots: int | None, why: str, name: str = "embedded") -> CoreChoice:
    """The embedded core. Raises CoreError when this machine lacks what it needs."""
    from engine.cores.embedded.core import EmbeddedCore, available

    reason = available()
    if reason is not None:
        raise CoreError(reason)
    core = EmbeddedCore(slots=slots or 1, name=name)
    core.why = why
    return CoreChoice(core, why)


def _address_in(environ: Mapping[str, str]) -> Address:
    try:
        return parse_address(environ.get("OLLAMA_HOST"))
    except UsageError as error:
        raise UsageError(f"OLLAMA_HOST: {error}") from None


async def _auto(environ: Mapping[str, str], slots: int | None, default_model: str | None, probe_s: float) -> CoreChoice:
    from engine.cores.ollama.core import OllamaCore

    core = OllamaCore(_address_in(environ), slots=slots, default_model=default_model, environ=environ)
    usable = False
    try:
        usable, why = await _usable_now(core, probe_s)
    finally:
        if not usable:
            await core.stop(drain_s=0)
    if usable:
        core.why = why
        return CoreChoice(core, why)
    try:
        return _embedded(slots, f"{why}, so the embedded model")
    except CoreError as error:
        remedy = "start Ollama, or name its address with --core ollama@URL"
        raise CoreError(f"nothing to run on: {why} ({remedy}), and no embedded model ({error})") from None


async def _usable_now(core: OllamaCore, probe_s: float) -> tuple[bool, str]:
    """Return True if this server can serve now, and in a few words why or why not."""
    from engine.cores.ollama.faults import is_foreign

    where = core.address.label
    fault = await core.probe(probe_s)
    if fault is not None:
        return False, f"what answers at {where} is not Ollama" if is_foreign(fault) else f"no Ollama at {where}"
    info = await core.inspect()
    if info.healthy:
        return True, f"Ollama at {where} answered with {plural(len(info.models), 'model')}"
    if info.version:
        return False, f"Ollama at {where} has no model that can chat"
    return False, f"Ollama at {where} does not list its models"
