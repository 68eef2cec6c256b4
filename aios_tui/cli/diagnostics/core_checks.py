"""The checks of `doctor` on cores, configured, chosen or discovered, and on the file with their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aios_tui.config import paths
from aios_tui.config.settings import Settings
from engine.cores.discovery import DiscoveredCore, discover_cores
from engine.errors import AiosError
from engine.wording import plural

_NOTHING = "start Ollama, `aios-tui models fetch` for the embedded model, or choose another core with --core"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`; `advice` says what to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""


async def core_checks(settings: Settings) -> list[Check]:
    """Check all cores at the same time; takes a few seconds when one does not answer."""
    found = [_keys()]
    try:
        cores = await discover_cores(settings.core, **settings.core_arguments())
    except AiosError as error:
        return [*found, Check("core", "fail", str(error), "choose another with --core")]
    if not any(core.chosen for core in cores):
        found.append(Check("core", "fail", f"{settings.core}: no core to run tasks on", _NOTHING))
    return [*found, *_checks(cores)]


def _keys() -> Check:
    """Check that the file of keys, if it exists, may be used."""
    from engine.cores.api_keys import find_key

    path = paths.keys_file()
    try:
        find_key("AIOS_TUI", environ={}, file=path)
    except AiosError as error:
        return Check("keys", "fail", str(error))
    return Check("keys", "ok", f"{path}" if path.exists() else "no file; keys come from the environment")


def _checks(cores: Sequence[DiscoveredCore]) -> Iterator[Check]:
    other_usable = any(core.chosen and core.usable for core in cores)
    for core in cores:
        named = core.chosen or core.configured  # by the settings; the others were discovered
        if core.usable and (named or core.kind != "embedded"):
            yield Check("core" if named else core.kind, "warn" if core.problem else "ok", _summary(core), core.problem)
        elif named:
            problem = f"{core.name}: {core.problem or 'not healthy'}"
            if core.chosen and not other_usable:
                yield Check("core", "fail", problem, "or choose another with --core")
            else:
                yield Check("core", "warn", problem, "its tasks wait until it is available" if core.chosen else "")
        elif core.problem.startswith("OLLAMA_HOST"):
            yield Check(core.kind, "fail", core.problem, "fix OLLAMA_HOST")
        elif core.kind != "embedded":  # it has a check of its own
            advice = "ignore it unless you want to use this core"
            yield Check(core.kind, "warn", core.problem or "not healthy", advice)


def _summary(core: DiscoveredCore) -> str:
    info = core.info
    facts = [
        f"{core.kind} {info.version}".rstrip(),
        f"at {info.where}" if info.where and not info.where.startswith("in process") else info.where,
        f"{plural(core.slots, 'slot')} ({core.slots_from})",
        plural(len(info.models), "model") if info.models else "",
        f"default {info.default_model}" if info.default_model else "no default model",
        f"key {core.key_env} {'set' if core.key_set else 'not set'}" if core.key_env else "",
        info.why if core.chosen and not core.configured else "",
    ]
    return f"{core.name}: {', '.join(filter(None, facts))}"
