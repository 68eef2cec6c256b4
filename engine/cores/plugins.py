"""Third-party cores: kinds that installed packages register in the entry-point group `aios_tui.cores`.

    [project.entry-points."aios_tui.cores"]
    echo = "my_package:make_core"        # a CoreFactory

Kinds are read from the packages' metadata alone. The code of a plug-in is imported when a core of its kind is made, so
a broken one is one clear line for those who choose it, and nothing for everybody else. A plug-in can add a kind, but
not replace one: a built-in kind or preset keeps its meaning, and a kind that two packages register is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from engine.cores.port import Core
from engine.errors import AiosError, CoreError
from engine.sanitise import one_line

GROUP = "aios_tui.cores"
OWN_KINDS = ("ollama", "embedded", "scripted", "openai")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MEMBERS = ("name", "start", "stop", "slots", "events", "run", "cancel", "inspect")


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """The argument of a plug-in's factory: the keys of its table `[cores.NAME]` that are set.

    Attributes:
        name: the core's name, which its `name` and its slots must have. kind: the kind as it was registered.
        url: `url`, or what followed `KIND@` in `--core`. slots: the number asked for; None for the core's own.
        default_model: the model for tasks that name none; None for the core's own choice.
        api_key: the key that `key_env` names. options: the table `options`, unchecked.
        must_answer: True if `start` has to raise CoreError when the core cannot work; with several cores it may start
            with its slots down. why: the reason why the core was chosen, for `CoreInfo.why`.
    """

    name: str
    kind: str
    url: str | None = None
    slots: int | None = None
    default_model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    must_answer: bool = True
    why: str = ""


CoreFactory = Callable[[CoreSettings], Core]
"""Makes a core without starting it. Raises CoreError or UsageError, with one line for the user."""


def builtin_kinds() -> tuple[str, ...]:
    """Return the kinds of core that come with the program: its own, then the presets."""
    from engine.cores.openai.presets import load_presets

    return (*OWN_KINDS, *(name for name in load_presets() if name not in OWN_KINDS))


@cache
def _found() -> tuple[Mapping[str, EntryPoint], Mapping[str, str]]:
    """Return the plug-ins by kind, and a line for each kind that cannot be used."""
    registered: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        registered.setdefault(entry.name, {})[f"{_package(entry)} {entry.value}"] = entry
    plugins, problems = dict[str, EntryPoint](), dict[str, str]()
    for kind, entries in sorted(registered.items()):
        packages = " and ".join(sorted({_package(entry) for entry in entries.values()}))
        shown = one_line(kind, 60)
        if not _KIND.fullmatch(kind) or kind == "auto":
            problems[kind] = f"{packages}: '{shown}' cannot be the name of a kind of core"
        elif kind in builtin_kinds():
            problems[kind] = f"{packages}: the kind of core '{shown}' is built in and cannot be replaced"
        elif len(entries) > 1:
            problems[kind] = f"{packages}: both register the kind of core '{shown}'; uninstall one of them"
        else:
            (plugins[kind],) = entries.values()
    return plugins, problems


def plugin_kinds() -> tuple[str, ...]:
    """Return the kinds that plug-ins add, sorted."""
    return tuple(_found()[0])


def plugin_problems() -> Mapping[str, str]:
    """Return one line for each registered kind that cannot be used, by kind."""
    return _found()[1]


def make_plugin_core(settings: CoreSettings) -> Core:
    """Make a core of a plug-in's kind. Raises CoreError with one line when the plug-in is broken or refuses."""
    entry = _found()[0][settings.kind]
    who = f"the core plug-in '{settings.kind}' of {_package(entry)}"
    try:
        core = entry.load()(settings)
    except AiosError:
        raise
    except (Exception, SystemExit) as error:  # anything may happen in foreign code
        raise CoreError(one_line(f"{who} is broken: {type(error).__name__}: {error}")) from error
    lacking = [member for member in _MEMBERS if not hasattr(core, member)]
    if lacking:
        raise CoreError(f"{who} is broken: it made an object without {', '.join(lacking)}")
    if core.name != settings.name:
        raise CoreError(f"{who} is broken: it ignores the name '{settings.name}'")
    return core  # type: ignore[no-any-return]


def plugin_package(kind: str) -> str:
    """Return the package that registers a kind, with its version."""
    return _package(_found()[0][kind])


def _package(entry: EntryPoint) -> str:
    return one_line(f"{entry.dist.name} {entry.dist.version}", 80) if entry.dist else "a package"
