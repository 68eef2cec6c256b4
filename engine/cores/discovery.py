"""Lists all cores: those that are configured, those that the choice names, and those found on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from engine.cores.api_keys import find_key
from engine.cores.config import CoreConfig
from engine.cores.core_spec import CoreSpec, parse_cores
from engine.cores.factory import CoreDefaults, choose_cores, make_core
from engine.cores.ollama.address import parse_address
from engine.cores.plugins import plugin_kinds, plugin_problems
from engine.cores.port import CoreInfo, SlotState
from engine.errors import AiosError
from engine.sanitise import one_line


@dataclass(frozen=True, slots=True)
class DiscoveredCore:
    """One core, inspected without being started.

    Attributes:
        configured: it has a table in the settings. chosen: tasks would run on it.
        usable: it answers, or can be started. problem: what is wrong with it, usable or not.
        slots: the number of attempts it would get at a time. slots_from: the source of that number.
        key_env: the name of its access key, None where it needs none. key_set: there is a key; it is never kept here.
        info: its own report; empty for a core that could not be made.
    """

    name: str
    kind: str
    configured: bool
    chosen: bool
    usable: bool
    problem: str = ""
    slots: int = 0
    slots_from: str = ""
    key_env: str | None = None
    key_set: bool = False
    info: CoreInfo = field(default_factory=lambda: CoreInfo("", False, None))


async def discover_cores(
    choice: str, *, configured: Mapping[str, CoreConfig], **defaults: Unpack[CoreDefaults]
) -> list[DiscoveredCore]:
    """Inspect every core, all at the same time; list those that tasks would run on first. Arguments: `choose_cores`.

    Raises:
        UsageError: the choice is none.
    """
    environ = defaults["environ"]
    wanted = parse_cores(choice, configured)
    chosen = wanted if wanted is not None else []
    rest = [CoreSpec(name, config, True) for name, config in configured.items()]
    plugins = set(plugin_kinds()) - {each.config.kind for each in (*chosen, *rest)}
    unconfigured = [
        *found(environ, defaults.get("keys")),
        *(CoreSpec(kind, CoreConfig(kind=kind)) for kind in sorted(plugins)),
    ]
    names = {each.name for each in (*chosen, *rest)}
    places = {_place(each, environ) for each in chosen}
    others: list[CoreSpec] = []
    for each in (*rest, *unconfigured):
        place = _place(each, environ)
        if place not in places:
            places.add(place)
            # The found Ollama is named by its address where another core has its name.
            free = each.configured or each.name not in names
            others.append(each if free else replace(each, name=place[1].partition("://")[2]))
    looks = [_look(each, True, defaults) for each in chosen] + [_look(each, False, defaults) for each in others]
    seen = list(await asyncio.gather(*looks))
    if wanted is None:
        seen = await _mark_automatic(seen, defaults)
    for kind, problem in plugin_problems().items():
        seen.append(DiscoveredCore(kind, "plug-in", configured=False, chosen=False, usable=False, problem=problem))
    return sorted(seen, key=lambda each: not each.chosen)


def found(environ: Mapping[str, str], keys: Path | None) -> list[CoreSpec]:
    """Return the cores that need no table: Ollama in its usual place, the embedded model, presets with a key."""
    from engine.cores.openai.presets import load_presets

    keyed = []
    for name, preset in load_presets().items():
        try:
            key = find_key(preset.key_env, environ=environ, file=keys)
        except AiosError:
            continue  # `doctor` says what is wrong with the file
        if key is not None:
            keyed.append(name)
    return [CoreSpec(kind, CoreConfig(kind=kind)) for kind in ("ollama", "embedded", *keyed)]


def _place(wanted: CoreSpec, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the identity of a core: two specs of the same kind and address are one core, whatever their names."""
    config = wanted.config
    if config.kind == "ollama" and config.url is None:
        try:
            return config.kind, parse_address(environ.get("OLLAMA_HOST")).url
        except AiosError:
            return config.kind, "OLLAMA_HOST"
    server = config.server()
    if server is not None:
        return config.family, server.url
    return config.kind, "" if config.kind == "embedded" else wanted.name


async def _mark_automatic(seen: list[DiscoveredCore], defaults: CoreDefaults) -> list[DiscoveredCore]:
    """Mark the core that `auto` takes when none is configured."""
    try:
        (taken,) = await choose_cores("auto", **defaults)
    except AiosError:
        return seen
    await taken.core.stop(drain_s=0)
    return [
        replace(each, chosen=True, info=replace(each.info, why=taken.why)) if each.name == taken.core.name else each
        for each in seen
    ]


async def _look(wanted: CoreSpec, chosen: bool, defaults: CoreDefaults) -> DiscoveredCore:
    config = wanted.config
    seen = DiscoveredCore(wanted.name, config.kind, wanted.configured, chosen, False)
    try:
        core = make_core(wanted, must_answer=False, **defaults).core
    except AiosError as error:
        return replace(seen, problem=str(error), key_env=config.key_name)
    try:
        info = await core.inspect()
        slots = sum(slot.state is not SlotState.UNPROVEN for slot in core.slots())
    except Exception as error:  # noqa: BLE001  (a plug-in may do anything)
        return replace(seen, problem=one_line(f"the core failed: {type(error).__name__}: {error}"))
    finally:
        await core.stop(drain_s=0)
    key = find_key(config.key_name, environ=defaults["environ"], file=config.key_file or defaults.get("keys"))
    # The embedded model is made ready at the start; make_core saw that it can be.
    embedded = config.kind == "embedded"
    return replace(
        seen,
        usable=info.healthy or embedded,
        problem="" if embedded else info.detail,
        slots=slots,
        slots_from="configured" if config.slots or defaults.get("slots") else _source(info.slots_from),
        key_env=config.key_name,
        key_set=key is not None,
        info=info,
    )


def _source(slots_from: str) -> str:
    """Return `default` for a number that a core calls configured although nobody configured it."""
    return "default" if slots_from in ("", "configured") else slots_from
