"""Synthetic prompts: their length, and the longest that a core's models can take."""

from __future__ import annotations

import pytest

from engine.cores.port import CoreInfo, ModelInfo
from engine.replay.synthetic_prompt import longest_prompt, synthetic_prompt


def core(*contexts: int | None, capabilities: tuple[str, ...] | None = None) -> CoreInfo:
    models = tuple(ModelInfo(f"m{n}", context_length=c, capabilities=capabilities) for n, c in enumerate(contexts))
    return CoreInfo("core", True, None, models)


def test_a_prompt_has_the_length_asked_for() -> None:
    assert len(synthetic_prompt(1000).split()) == 999
    assert synthetic_prompt(1000) == synthetic_prompt(1000)
    assert len(synthetic_prompt(10**9)) < 1_048_576


@pytest.mark.parametrize(
    ("cores", "longest"),
    [
        ([], None),
        ([core(), core(None)], None),
        ([core(8192)], 4096),
        ([core(8192, None, 2048), core(4096)], 1024),
        ([core(20)], 16),
        ([core(8192), core(256, capabilities=("embedding",))], 4096),
        ([core(8192), core(512, capabilities=("completion", "tools"))], 256),
    ],
)
def test_half_of_the_smallest_context_that_can_answer(cores: list[CoreInfo], longest: int | None) -> None:
    assert longest_prompt(cores) == longest
