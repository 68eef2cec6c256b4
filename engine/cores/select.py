"""Which core tasks run on: the `--core` choice made into a core, and why it became that one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

from engine.cores.ollama.address import Address, parse_address
from engine.cores.port import Core, FaultKind
from engine.errors import CoreError, UsageError
from engine.text import one_line

if TYPE_CHECKING:
    from engine.cores.ollama.core import OllamaCore

_Kind = Literal["auto", "embedded", "ollama", "scripted"]
FORMS = "auto, embedded, ollama, ollama@URL or scripted[:KEY=VALUE,…]"


@dataclass(frozen=True, slots=True)
class CoreChoice:
    """A core, not started yet, and why it was chosen: a short sentence for people."""

    core: Core
    why: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """A choice taken apart: `rest` is what followed `ollama@` or `scripted:`."""

    kind: _Kind
    rest: str = ""


def check_core_choice(choice: str) -> None:
    """Raise UsageError, with one line, if the choice can't be meant. Looks at nothing but its text."""
    parsed = _parse(choice)
    if parsed.kind == "ollama" and parsed.rest:
        parse_address(parsed.rest)
    elif parsed.kind == "scripted":
        from engine.cores.scripted import ScriptedCore

        ScriptedCore.parse(parsed.rest)


async def choose_core(
    choice: str,
    *,
    slots: int | None = None,
    default_model: str | None = None,
    probe_s: float = 1.0,
    environ: Mapping[str, str],
) -> CoreChoice:
    """Return the core that `choice` means. It is not started; whoever starts it also stops it.

    Args:
        choice: one of FORMS. `auto` takes Ollama if it answers within `probe_s` seconds and has a model that can
            chat, else the embedded model.
        slots: how many attempts at a time, None for the core's own default.
        default_model: what answers when a task names no model.
        environ: where `OLLAMA_HOST` is looked up.

    Raises:
        UsageError: a bad choice, or a bad OLLAMA_HOST. CoreError: there is nothing to run on.
    """
    parsed = _parse(choice)
    if slots is not None and slots < 1:
        raise UsageError(f"a core needs at least one slot, not {slots}")
    match parsed.kind:
        case "embedded":
            return _embedded(slots, "the embedded model, as asked for")
        case "scripted":
            from engine.cores.scripted import ScriptedCore

            scripted = ScriptedCore.parse(parsed.rest, slots=slots)
            scripted.why = "scripted replies, as asked for"
            return CoreChoice(scripted, scripted.why)
        case "ollama":
            address = parse_address(parsed.rest) if parsed.rest else _address_in(environ)
            why = f"Ollama at {address.label}, as asked for"
            return CoreChoice(_ollama(address, slots, default_model, why), why)
        case "auto":
            return await _auto(_address_in(environ), slots, default_model, probe_s)


def _parse(choice: str) -> _Choice:
    choice = choice.strip()
    if choice in get_args(_Kind):
        return _Choice(cast(_Kind, choice))
    if choice.startswith("ollama@") and len(choice) > len("ollama@"):
        return _Choice("ollama", choice.removeprefix("ollama@"))
    if choice.startswith("scripted:"):
        return _Choice("scripted", choice.removeprefix("scripted:"))
    raise UsageError(f"unknown core '{one_line(choice, 80)}'; use {FORMS}")


def _address_in(environ: Mapping[str, str]) -> Address:
    try:
        return parse_address(environ.get("OLLAMA_HOST"))
    except UsageError as error:
        raise UsageError(f"OLLAMA_HOST: {error}") from None


async def _auto(address: Address, slots: int | None, default_model: str | None, probe_s: float) -> CoreChoice:
    from engine.cores.ollama.core import OllamaCore

    core = OllamaCore(address, slots=slots or 1, default_model=default_model)
    usable = False
    try:
        usable, why = await _judge(core, probe_s)
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


async def _judge(core: OllamaCore, probe_s: float) -> tuple[bool, str]:
    """Whether this server can serve now, and in a few words why or why not."""
    where = core.address.label
    fault = await core.probe(probe_s)
    if fault is not None:
        foreign = fault.kind is FaultKind.SERVER and not fault.retryable
        return False, f"what answers at {where} is not Ollama" if foreign else f"no Ollama at {where}"
    info = await core.inspect()
    if info.healthy:
        count = len(info.models)
        return True, f"Ollama at {where} answered with {count} model{'' if count == 1 else 's'}"
    if info.version:
        return False, f"Ollama at {where} has no model that can chat"
    return False, f"Ollama at {where} does not tell its models"


def _ollama(address: Address, slots: int | None, default_model: str | None, why: str) -> Core:
    from engine.cores.ollama.core import OllamaCore

    return OllamaCore(address, slots=slots or 1, default_model=default_model, why=why)


def _embedded(slots: int | None, why: str) -> CoreChoice:
    """The embedded core. Raises CoreError when this machine lacks what it needs."""
    from engine.cores.embedded.core import EmbeddedCore, available

    reason = available()
    if reason is not None:
        raise CoreError(reason)
    core = EmbeddedCore(slots=slots or 1)
    core.why = why
    return CoreChoice(core, why)
