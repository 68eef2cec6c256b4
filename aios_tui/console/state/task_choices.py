"""What an operator may choose from when writing a task: agents and models, as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.cores.port import CoreInfo
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.agents.catalogue import AgentCatalogue


def agent_choices(catalogue: AgentCatalogue) -> dict[str, str]:
    """Every agent's name, with its description and rounds in a line; untrusted text, sanitised."""
    choices = {}
    for agent in catalogue.agents():
        count = "1 round" if agent.round_total == 1 else f"{agent.round_total} rounds"
        choices[agent.name] = f"{one_line(agent.description, 100)}, {count}"
    return choices


def model_choices(cores: Iterable[CoreInfo]) -> list[str]:
    """The models that the cores have, the default ones first, each once.

    A name with spaces or control characters is left out: it could be neither shown nor asked for as it is.
    """
    cores = list(cores)
    names = [core.default_model for core in cores if core.default_model]
    names += [model.name for core in cores for model in core.models]
    return [name for name in dict.fromkeys(names) if name.isprintable() and name and " " not in name]


def default_models(cores: Iterable[CoreInfo]) -> str:
    """What a task without a model of its own is answered by, in words; empty when no core says."""
    return ", ".join(dict.fromkeys(one_line(core.default_model, 60) for core in cores if core.default_model))
