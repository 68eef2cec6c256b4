"""Makes the cores of a `--core` choice, each with the reason why it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Required, TypedDict, Unpack

from engine.cores.addresses import Address
from engine.cores.api_keys import find_key
from engine.cores.config import CoreConfig
from engine.cores.core_spec import CoreSpec, parse_cores
from engine.cores.ollama.address import parse_address
from engine.cores.plugins import CoreSettings, make_plugin_core, plugin_package
from engine.cores.port import Core
from engine.errors import CoreError, UsageError
from engine.wording import plural

if TYPE_CHECKING:
    from engine.cores.embedded.core import EmbeddedCore
    from engine.cores.ollama.core import OllamaCore
    from engine.cores.openai.core import OpenAICore
    from engine.cores.scripted import ScriptedCore

_NONE: Mapping[str, CoreConfig] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CoreChoice:
    """A core, not started yet. `why` is the reason for the choice, a short sentence for people."""

    core: Core
    why: str


class CoreDefaults(TypedDict, total=False):
    """The arguments that all cores of a choice share.

    Attributes:
        slots: the number of attempts at a time, for cores whose own table does not set it.
        default_model: the model for tasks that name none, likewise.
        environ: the source of `OLLAMA_HOST` and keys. keys: a file with keys.
    """

    slots: int | None
    default_model: str | None
    environ: Required[Mapping[str, str]]
    keys: Path | None


async def choose_cores(
    choice: str, *, configured: Mapping[str, CoreConfig] = _NONE, probe_s: float = 1.0, **defaults: Unpack[CoreDefaults]
) -> list[CoreChoice]:
    """Return the cores of `choice`, at least one. None is started; the caller starts and stops them.

    A single server has to answer when it is started. Of several, those that do not answer are down until they do.

    Args:
        choice: names of `configured` and forms, see `engine.cores.core_spec`. `auto` takes all that are configured;
            with none, Ollama if it answers within `probe_s` seconds and has a chat model, else the embedded model.

    Raises:
        UsageError: a bad choice, OLLAMA_HOST or key, or a file of keys that others may read.
        CoreError: no core can be made.
    """
    if (slots := defaults.get("slots")) is not None and slots < 1:
        raise UsageError(f"a core needs at least one slot, not {slots}")
    wanted = parse_cores(choice, configured)
    if wanted is None:
        return [await _auto(probe_s, defaults)]
    return [make_core(each, must_answer=len(wanted) == 1, **defaults) for each in wanted]


async def choose_core(
    choice: str, *, configured: Mapping[str, CoreConfig] = _NONE, probe_s: float = 1.0, **defaults: Unpack[CoreDefaults]
) -> CoreChoice:
    """Like `choose_cores`, for a choice of one core. Raises UsageError for several, too."""
    wanted = parse_cores(choice, configured)
    if wanted is not None and len(wanted) > 1:
        raise UsageError(f"name one core out of {', '.join(each.name for each in wanted)}")
    (chosen,) = await choose_cores(choice, configured=configured, probe_s=probe_s, **defaults)
    return chosen


def make_core(wanted: CoreSpec, *, must_answer: bool, **defaults: Unpack[CoreDefaults]) -> CoreChoice:
    """Make one core. `must_answer`: its start fails if it does not answer."""
    config, preset, environ = wanted.config, wanted.config.preset, defaults["environ"]
    asked = "as configured" if wanted.configured else "as requested"
    settings = CoreSettings(
        name=wanted.name,
        kind=config.kind,
        url=config.url or (preset.base_url if preset else None),
        slots=config.slots or defaults.get("slots"),
        default_model=config.model or defaults.get("default_model"),
        api_key=find_key(config.key_name, environ=environ, file=config.key_file or defaults.get("keys")),
        options=config.options,
        must_answer=must_answer,
    )
    core: EmbeddedCore | OllamaCore | OpenAICore | ScriptedCore
    match config.family:
        case "plugin":
            settings = replace(settings, why=f"{config.kind} of {plugin_package(config.kind)}, {asked}")
            return CoreChoice(make_plugin_core(settings), settings.why)
        case "embedded":
            core, origin = _embedded(settings.slots, wanted.name), "the embedded model"
        case "scripted":
            core, origin = _scripted(settings, config), "scripted replies"
        case "openai":
            core = _openai(settings, config)
            origin = f"{preset.title if preset else 'the server'} at {core.address.label}"
        case _:
            core = _ollama(settings, config, environ)
            origin = f"Ollama at {core.address.label}"
    core.why = f"{origin}, {asked}"
    return CoreChoice(core, core.why)


def _ollama(settings: CoreSettings, config: CoreConfig, environ: Mapping[str, str]) -> OllamaCore:
    from engine.cores.ollama.core import OllamaCore

    return OllamaCore(
        parse_address(config.url) if config.url else _address_in(environ),
        slots=settings.slots,
        name=settings.name,
        default_model=settings.default_model,
        must_answer=settings.must_answer,
        one_model=config.one_model,
        environ=environ,
    )


def _openai(settings: CoreSettings, config: CoreConfig) -> OpenAICore:
    from engine.cores.openai.core import OpenAICore

    preset = config.preset
    return OpenAICore(
        name=settings.name,
        base_url=settings.url or "",
        key=settings.api_key,
        key_env=config.key_name,
        slots=settings.slots or (preset.slots if preset else 4),
        default_model=settings.default_model,
        priority=config.priority,
        preset=preset,
        must_answer=settings.must_answer,
    )


def _scripted(settings: CoreSettings, config: CoreConfig) -> ScriptedCore:
    from engine.cores.scripted import ScriptedCore

    options = ScriptedCore.parse(config.script or "", slots=settings.slots).options
    if config.model is not None:
        options = options.model_copy(update={"model": config.model})
    return ScriptedCore(options, name=settings.name)


def _embedded(slots: int | None, name: str = "embedded") -> EmbeddedCore:
    """The embedded core. Raises CoreError when this machine lacks what it needs."""
    from engine.cores.embedded.core import EmbeddedCore, available

    if reason := available():
        raise CoreError(reason)
    return EmbeddedCore(slots=slots or 1, name=name)


def _address_in(environ: Mapping[str, str]) -> Address:
    try:
        return parse_address(environ.get("OLLAMA_HOST"))
    except UsageError as error:
        raise UsageError(f"OLLAMA_HOST: {error}") from None


async def _auto(probe_s: float, defaults: CoreDefaults) -> CoreChoice:
    from engine.cores.ollama.core import OllamaCore

    environ, slots = defaults["environ"], defaults.get("slots")
    server = OllamaCore(_address_in(environ), slots=slots, default_model=defaults.get("default_model"), environ=environ)
    core: OllamaCore | EmbeddedCore = server
    usable = False
    try:
        usable, why = await _usable_now(server, probe_s)
    finally:
        if not usable:
            await server.stop(drain_s=0)
    if not usable:
        try:
            core = _embedded(slots)
        except CoreError as error:
            remedy = "start Ollama, or name its address with --core ollama@URL"
            raise CoreError(f"nothing to run on: {why} ({remedy}), and no embedded model ({error})") from None
        why = f"{why}, so the embedded model"
    core.why = why
    return CoreChoice(core, why)


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
