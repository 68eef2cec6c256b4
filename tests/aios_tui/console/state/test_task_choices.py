"""The choices for a task: agents with their descriptions, models by name."""

from __future__ import annotations

from aios_tui.console.state.task_choices import agent_choices, default_models, model_choices
from engine.agents.catalogue import load_catalogue
from engine.cores.port import CoreInfo, ModelInfo

CORES = (
    CoreInfo("a", True, "two", (ModelInfo("one"), ModelInfo("two"))),
    CoreInfo("b", False, None, (ModelInfo("two"), ModelInfo("x\x1b]0;y\x07"), ModelInfo("with space"), ModelInfo(""))),
)


def test_models_default_first_each_once_and_only_such_as_can_be_asked_for() -> None:
    assert model_choices(CORES) == ["two", "one"]
    assert default_models(CORES) == "two"
    assert (model_choices(()), default_models(())) == ([], "")


def test_agents_with_their_rounds() -> None:
    choices = agent_choices(load_catalogue(None)[0])
    assert choices["chat"].endswith("1 round")
    assert choices["story_teller"].endswith("3 rounds")
