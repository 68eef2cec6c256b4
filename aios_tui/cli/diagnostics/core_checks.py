"""What `doctor` says of the cores: each that is configured, chosen or found, and the file with their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aios_tui.cli.diagnostics.check import Check
from aios_tui.config import paths
from aios_tui.config.settings import Settings
from engine.cores.discovery import DiscoveredCore, discover_cores
from engine.errors import AiosError

_NOTHING = "start Ollama, `aios-tui models fetch` for the embedded model, or choose another core with --core"


async def core_checks(settings: Settings) -> list[Check]:
    """A line for each core, all looked at at the same time; takes some seconds where one does not answer."""
    found = [_keys()]
    try:
        cores = await discover_cores(settings.core, **settings.core_arguments())
    except AiosError as error:
        return [*found, Check("core", "fail", str(error), "choose another with --core")]
    if not any(core.chosen for core in cores):
        found.append(Check("core", "fail", f"{settings.core}: there is nothing to run on", _NOTHING))
    return [*found, *_lines(cores)]


def _keys() -> Check:
    """Whether the file of keys, if there is one, may be used."""
    from engine.cores.api_keys import find_key

    path = paths.keys_file()
    try:
        find_key("AIOS_TUI", environ={}, file=path)
    except AiosError as error:
        return Check("keys", "fail", str(error))
    return Check("keys", "ok", f"{path}" if path.exists() else "no file of keys; they come from the environment")


def _lines(cores: Sequence[DiscoveredCore]) -> Iterator[Check]:
    some = any(core.chosen and core.usable for core in cores)
    for core in cores:
        if core.chosen or core.configured:
            yield _own(core, alone=not some)
        elif core.kind != "embedded":  # that has a line of its own, which looks closer
            yield _found(core)


def _own(core: DiscoveredCore, *, alone: bool) -> Check:
    """A core that tasks run on, or that has a table in the settings."""
    if core.usable:
        return Check("core", "warn" if core.problem else "ok", _summary(core), core.problem)
    said = f"{core.name}: {core.problem or 'not healthy'}"
    if core.chosen and alone:
        return Check("core", "fail", said, "or choose another with --core")
    return Check("core", "warn", said, "its tasks wait until it is there" if core.chosen else "")


def _found(core: DiscoveredCore) -> Check:
    """A core that is there without anyone having asked for it."""
    if core.usable:
        return Check(core.kind, "warn" if core.problem else "ok", _summary(core), core.problem)
    if core.problem.startswith("OLLAMA_HOST"):
        return Check(core.kind, "fail", core.problem, "mend OLLAMA_HOST")
    return Check(core.kind, "warn", core.problem or "not healthy", "only of interest where you want to use it")


def _summary(core: DiscoveredCore) -> str:
    info = core.info
    facts = [
        f"{core.kind} {info.version}".rstrip(),
        f"at {info.where}" if info.where and not info.where.startswith("in process") else info.where,
        f"{core.slots} slot{'' if core.slots == 1 else 's'} ({core.slots_from})",
        f"{len(info.models)} model{'' if len(info.models) == 1 else 's'}" if info.models else "",
        f"default {info.default_model}" if info.default_model else "no default model",
        f"key {core.key_env} {'set' if core.key_set else 'not set'}" if core.key_env else "",
        info.why if core.chosen and not core.configured else "",
    ]
    return f"{core.name}: {', '.join(filter(None, facts))}"
