"""Agents and models that an operator can choose for a task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.cores.port import CoreInfo
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from engine.agents.catalogue import AgentCatalogue


def agent_choices(catalogue: AgentCatalogue) -> dict[str, str]:
    """Return each agent's description and rounds, one sanitised line by name."""
    choices = {}
    for agent in catalogue.agents():
        choices[agent.name] = f"{one_line(agent.description, 100)}, {plural(agent.round_total, 'round')}"
    return choices


def model_choices(cores: Iterable[CoreInfo]) -> list[str]:
    """Return the names of the cores' models, default ones first, each once.

    Names with spaces or control characters are left out: they can be neither shown nor typed.
    """
    cores = list(cores)
    names = [core.default_model for core in cores if core.default_model]
    names += [model.name for core in cores for model in core.models]
    return [name for name in dict.fromkeys(names) if name.isprintable() and name and " " not in name]


def default_models(cores: Iterable[CoreInfo]) -> str:
    """Return the default models as text; empty when no core reports one."""
    return ", ".join(dict.fromkeys(one_line(core.default_model, 60) for core in cores if core.default_model))
