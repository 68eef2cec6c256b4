"""Prompts for tasks of which only the length is known."""

from __future__ import annotations

from itertools import cycle, islice

MAX_TOKENS = 150_000
"""Longer contexts are cut to this: the words of a prompt have to fit into what a task's text may be."""

# Common short words: one token each, with the space before it, in the vocabularies of today's models.
_WORDS = (  # noqa: SIM905
    "the time of day is long and we go on with our work in the house by the river so that all can see what is there "
    "when one of them says no and two say yes but most of us just look at the sky for a while"
).split()
_ASK = "Go on with this text:"


def synthetic_prompt(tokens: int) -> str:
    """Plain words, about `tokens` tokens in all, always the same. At least the short request to go on with them."""
    count = max(0, min(tokens, MAX_TOKENS) - len(_ASK.split()) - 1)
    return " ".join([_ASK, *islice(cycle(_WORDS), count)])
