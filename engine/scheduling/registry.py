"""The registry of policies, and the grammar of their names.

A built-in policy is one file in `policies/` with a class under `@register(name)`. A package can add policies by entry
points of the group `aios_tui.policies`, as in its pyproject.toml:

    [project.entry-points."aios_tui.policies"]
    newest = "my_package.newest:Newest"

The entry's name is the policy's name and its object makes a `Policy` (see `policy.py`); its keyword parameters become
the `key=number` of a policy name. A plug-in is loaded when its policy is first named.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from engine.errors import UsageError
from engine.sanitise import describe_error, one_line
from engine.scheduling.affinity import with_affinity
from engine.scheduling.policy import Policy
from engine.scheduling.scheduler import Ready
from engine.task import LEAST_URGENT, MOST_URGENT

GROUP = "aios_tui.policies"
AFFINITY = {"affinity": "passes", "affinity_s": "seconds"}
"""Parameters that every policy takes, and the bounds of `Affinity` that they set."""
Factory = Callable[..., Policy]
_F = TypeVar("_F", bound=Factory)
MAX_NAME = 200
"""Characters of a policy's whole name, parameters included."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_registry: dict[str, Factory] = {}


def register(name: str) -> Callable[[_F], _F]:
    """Register a policy class under `name`; its keyword parameters become the `key=number` of a policy name."""

    def add(factory: _F) -> _F:
        _registry[name] = factory
        return factory

    return add


@cache
def _built_in() -> Mapping[str, Factory]:
    """The factories in `policies/`, by name."""
    from engine.scheduling import policies

    for module in pkgutil.iter_modules(policies.__path__):
        importlib.import_module(f"{policies.__name__}.{module.name}")
    return _registry


@cache
def _plugins() -> tuple[Mapping[str, EntryPoint], Mapping[str, str]]:
    """The plug-ins by policy name, and one line for each name that cannot be used."""
    entries: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        entries.setdefault(entry.name, {})[f"{_package(entry)} {entry.value}"] = entry
    usable, problems = dict[str, EntryPoint](), dict[str, str]()
    for name, found in sorted(entries.items()):
        packages = " and ".join(sorted({_package(entry) for entry in found.values()}))
        shown = one_line(name, 60)
        if not _NAME.fullmatch(name):
            problems[name] = f"{packages}: '{shown}' cannot be the name of a policy"
        elif name in _built_in():
            problems[name] = f"{packages}: the policy '{shown}' is built in and cannot be replaced"
        elif len(found) > 1:
            problems[name] = f"{packages}: both register the policy '{shown}'; uninstall one of them"
        else:
            (usable[name],) = found.values()
    return usable, problems


def policy_names() -> list[str]:
    """The plain names of the built-in policies and of the plug-ins, sorted."""
    return sorted({*_built_in(), *_plugins()[0]})


def policy_problems() -> Mapping[str, str]:
    """One line for each name of a plug-in that cannot be used, by name."""
    return _plugins()[1]


def parse_policy(text: str) -> Policy:
    """Make the policy that `text` names: `fifo`, `npps`, `npps:ageing=60`, each with `affinity=8` and `affinity_s=30`.

    Raises:
        UsageError: with one line. The name is not known, a parameter is unknown, not a number or out of range, or the
            plug-in that has the name is broken.
    """
    name, _, tail = text.strip().lower().partition(":")
    parameters: dict[str, Any] = {}
    for part in filter(None, tail.split(",")):
        key, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            raise UsageError(f"policy {text!r}: {part!r} is not of the form key=number")
        parameters[key.strip()] = number
    bounds = {bound: parameters.pop(key) for key, bound in AFFINITY.items() if key in parameters}
    try:
        return with_affinity(_make(name, text, parameters), **bounds)
    except ValueError as error:
        raise UsageError(one_line(f"policy {text!r}: {error}")) from None


def parse_policies(text: str) -> list[Policy]:
    """Make the policies of a list with commas. A part with `=` belongs to the policy before it, as in
    `npps:ageing=60,affinity=8,fifo` and `npps,affinity=8`.

    Raises:
        UsageError: as `parse_policy`.
    """
    names: list[str] = []
    for part in text.split(","):
        if names and "=" in part and ":" not in part:
            names[-1] += ("," if ":" in names[-1] else ":") + part
        else:
            names.append(part)
    return [parse_policy(name) for name in names]


def _make(name: str, text: str, parameters: Mapping[str, float]) -> Policy:
    """Make a policy by its plain name. Raises UsageError; ValueError for a number out of range."""
    factory = _built_in().get(name)
    if factory is not None:
        _check_parameters(factory, name, text, parameters)
        return factory(**parameters)
    entry = _plugins()[0].get(name)
    if entry is None:
        raise UsageError(
            policy_problems().get(name)
            or f"unknown policy {text!r}: choose one of {', '.join(policy_names())}, npps:ageing=SECONDS, "
            "each with affinity=PASSES or affinity_s=SECONDS"
        )
    who = f"the policy plug-in '{name}' of {_package(entry)}"
    try:
        factory = entry.load()
        _check_parameters(factory, name, text, parameters)
        policy: Policy = factory(**parameters)
        _check_plugin(policy, name)
    except (ValueError, UsageError):
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # anything may happen in foreign code
        raise UsageError(one_line(f"{who} is broken: {describe_error(error)}")) from error
    return policy


def _check_parameters(factory: Factory, name: str, text: str, parameters: Mapping[str, float]) -> None:
    known = inspect.signature(factory).parameters
    if unknown := [key for key in parameters if key not in known]:
        raise UsageError(f"policy {text!r}: {name} has no parameter {', '.join(unknown)}")


def _check_plugin(policy: Any, name: str) -> None:
    """Raise TypeError when a plug-in's object is no policy, as far as one item of each priority shows."""
    if str(policy.name).partition(":")[0] != name:
        raise TypeError(f"its policy has the name {policy.name!r}, which has to begin with {name!r}")
    if len(policy.name) > MAX_NAME or one_line(policy.name, MAX_NAME) != policy.name:
        raise TypeError(f"its policy's name has control characters, or more than {MAX_NAME} characters")
    for priority in range(MOST_URGENT, LEAST_URGENT + 1):
        sample = Ready(0, priority, 0.0, 0)
        for attribute, number in (("rank", policy.rank(sample)), ("level", policy.level(sample))):
            if not isinstance(number, int | float) or math.isnan(number):
                raise TypeError(f"its {attribute} is {number!r}, which is no number")


def _package(entry: EntryPoint) -> str:
    return one_line(f"{entry.dist.name} {entry.dist.version}", 80) if entry.dist else "a package"
