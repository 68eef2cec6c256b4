"""Synthetic prompts, for tasks of which only the length is known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, islice

from engine.cores.port import CoreInfo

MAX_TOKENS = 150_000
"""Longer prompts are cut to this many tokens, so that their words fit into the limit of a task's text."""
SHORTEST = 16
"""A limit on prompts is never below this many tokens."""

# Common short words: one token each, with the space before it, in the vocabularies of today's models.
_WORDS = (  # noqa: SIM905
    "the time of day is long and we go on with our work in the house by the river so that all can see what is there "
    "when one of them says no and two say yes but most of us just look at the sky for a while"
).split()
_ASK = "Go on with this text:"


def synthetic_prompt(tokens: int) -> str:
    """Make a prompt of about `tokens` tokens, always the same. The request to continue the text is its least length."""
    count = max(0, min(tokens, MAX_TOKENS) - len(_ASK.split()) - 1)
    return " ".join([_ASK, *islice(cycle(_WORDS), count)])


def longest_prompt(cores: Iterable[CoreInfo]) -> int | None:
    """Return the most tokens that a synthetic prompt may have; None if no core reports a context length.

    Half of the smallest context of a model that can answer, so that a reply fits beside the prompt whatever model
    a task goes to.
    """
    contexts = [model.context_length for core in cores for model in core.models if model.context_length and model.chats]
    return max(SHORTEST, min(contexts) // 2) if contexts else None
