"""The registry of policies, and how a policy is named. A further policy is one more file in `policies/`."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from engine.errors import UsageError
from engine.scheduling.affinity import with_affinity
from engine.scheduling.policy import Policy

AFFINITY = {"affinity": "passes", "affinity_s": "seconds"}
"""Parameters that every policy takes, and the bounds they set."""
Factory = Callable[..., Policy]
_F = TypeVar("_F", bound=Factory)
_registry: dict[str, Factory] = {}


def register(name: str) -> Callable[[_F], _F]:
    """Make a policy class known under `name`; its keyword parameters become the `key=number` of a policy name."""

    def add(factory: _F) -> _F:
        _registry[name] = factory
        return factory

    return add


@cache
def _load_all() -> None:
    from engine.scheduling import policies

    for module in pkgutil.iter_modules(policies.__path__):
        importlib.import_module(f"{policies.__name__}.{module.name}")


def policy_names() -> list[str]:
    """The registered policies' plain names, sorted."""
    _load_all()
    return sorted(_registry)


def parse_policy(text: str) -> Policy:
    """Make the policy that `text` names: `fifo`, `npps`, `npps:ageing=60`, each with `affinity=8` and `affinity_s=30`.

    Raises:
        UsageError: the name is not registered, or a parameter is unknown, not a number or out of range.
    """
    _load_all()
    name, _, tail = text.strip().lower().partition(":")
    factory = _registry.get(name)
    if factory is None:
        raise UsageError(
            f"unknown policy {text!r}: choose one of {', '.join(policy_names())}, npps:ageing=SECONDS, "
            "each with affinity=PASSES or affinity_s=SECONDS"
        )
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
        return with_affinity(factory(**parameters), **bounds)
    except TypeError:
        raise UsageError(f"policy {text!r}: {name} has no parameter {', '.join(parameters)}") from None
    except ValueError as error:
        raise UsageError(f"policy {text!r}: {error}") from None


def parse_policies(text: str) -> list[Policy]:
    """The policies of a list with commas: in `npps:ageing=60,affinity=8,fifo` the second part is the first one's.

    Raises:
        UsageError: as `parse_policy`.
    """
    names: list[str] = []
    for part in text.split(","):
        if names and "=" in part and ":" not in part:
            names[-1] += f",{part}" if ":" in names[-1] else f":{part}"
        else:
            names.append(part)
    return [parse_policy(name) for name in names]
