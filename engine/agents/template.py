"""Prompt templates: literal text with a few placeholders. Nothing is evaluated, and nothing is expanded twice.

Placeholders: `{prompt}` or `{task}`: the task's prompt; `{reply}`: the last round's reply; `{replies[0]}`: the first
round's reply, `{replies[1]}` the second's; `{round.NAME}`: the reply of the round NAME. `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_INDEX = re.compile(r"replies\[(\d{1,3})\]")
_ROUND = re.compile(r"round\.([A-Za-z0-9_-]+)")

PROMPT = -1
"""The placeholder of the task's prompt; the others are indices of earlier rounds."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: texts, and placeholders as the index of an earlier round or PROMPT."""

    parts: tuple[str | int, ...]

    def render(self, prompt: str, replies: Sequence[str]) -> str:
        """Fill the placeholders. Braces in `prompt` and `replies` are text and stay as they are."""
        filled = (part if isinstance(part, str) else prompt if part == PROMPT else replies[part] for part in self.parts)
        return "".join(filled)


def parse(text: str, round_index: int, names: Mapping[str, int]) -> Template:
    """Parse the template of the round `round_index` (from 0); `names` are the named rounds' indices.

    Raises:
        ValueError: an unknown placeholder, a single brace, or a round that has not run by then.
    """
    parts: list[str | int] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        if token.group(1) is not None:
            parts.append(_placeholder(token.group(1), round_index, names))
        elif token.group() in ("{{", "}}"):
            parts.append(token.group()[0])
        else:
            raise ValueError(f"a single {token.group()!r} in the prompt: write it twice to mean the character")
    parts.append(text[end:])
    return Template(tuple(part for part in parts if part != ""))


def _placeholder(name: str, round_index: int, names: Mapping[str, int]) -> int:
    if name in ("prompt", "task"):
        return PROMPT
    if name == "reply":
        index = round_index - 1
        if index < 0:
            raise ValueError("{reply} in the first round: there is no reply yet")
        return index
    if match := _INDEX.fullmatch(name):
        index = int(match.group(1))
    elif (match := _ROUND.fullmatch(name)) and match.group(1) in names:
        index = names[match.group(1)]
    elif match:
        raise ValueError(f"{{{name}}}: no round is named {match.group(1)!r}")
    else:
        raise ValueError(f"unknown placeholder {{{name}}}: use prompt, reply, replies[0] or round.NAME")
    if index >= round_index:
        raise ValueError(f"{{{name}}} in round {round_index + 1}: that round has not run by then")
    return index
