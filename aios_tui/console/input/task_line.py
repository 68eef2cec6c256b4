"""The quick line's language: `@agent !priority #model` in any order, each at most once, then the prompt.

    @story_teller !2 #qwen3:8b Tell me a funny story

A prompt that begins with one of the three signs is written with a backslash before it: `\\@home is where …`.
Pure functions: the widget draws what they say.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from engine.sanitise import one_line
from engine.task import LEAST_URGENT, MAX_PROMPT_CHARS, MOST_URGENT, TaskSpec

Kind = Literal["agent", "priority", "model"]
SIGNS: dict[str, Kind] = {"@": "agent", "!": "priority", "#": "model"}

_TOKEN = re.compile(r"\s*([@!#])(\S*)")


class QuickError(ValueError):
    """A line that is no task. `str(error)` is one line; `start` and `end` are the characters it is about."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class Token:
    """A sign and the word after it, at `[start, end)` of the line; the sign itself is at `start`."""

    kind: Kind
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What could stand at the cursor: `candidates` to replace `[start, end)` with, sign included, the best first."""

    kind: Kind
    start: int
    end: int
    candidates: tuple[str, ...]


def tokens(line: str) -> tuple[list[Token], int]:
    """The tokens at the start of a line, and where the prompt begins."""
    found: list[Token] = []
    position = 0
    while match := _TOKEN.match(line, position):
        found.append(Token(SIGNS[match[1]], match[2], match.start(1), match.end()))
        position = match.end()
    rest = line[position:]
    return found, position + len(rest) - len(rest.lstrip())


def parse(line: str, agents: Collection[str], models: Collection[str] = (), *, agent: str = "chat") -> TaskSpec:
    """The task a line means.

    Args:
        agents: the names that `@` may give, plain or after an author and a slash. models: those that `#` may give;
            when none are known, any is taken. agent: whose the task is when the line names none.

    Raises:
        QuickError: with the place in the line.
    """
    found, at = tokens(line)
    values: dict[str, Any] = {"agent": agent}
    seen: set[Kind] = set()
    for token in found:
        if token.kind in seen:
            raise QuickError(f"the {token.kind} is given twice", token.start, token.end)
        seen.add(token.kind)
        values[token.kind] = _value(token, agents, models)
    prompt = line[at:].rstrip()
    if prompt[:1] == "\\" and prompt[1:2] in SIGNS:
        prompt = prompt[1:]
    if not prompt:
        raise QuickError("the prompt is missing: write what the agent is to do", at, len(line))
    if len(prompt) > MAX_PROMPT_CHARS:
        raise QuickError(f"the prompt is longer than {MAX_PROMPT_CHARS:,} characters", at, len(line))
    return TaskSpec(prompt=prompt, **values)


def _value(token: Token, agents: Collection[str], models: Collection[str]) -> str | int:
    word = token.word
    if token.kind == "priority":
        if len(word) == 1 and word in "0123456789":
            return int(word)
        problem = f"! takes a priority from {MOST_URGENT}, most urgent, to {LEAST_URGENT}"
        raise QuickError(f"{problem}, not {one_line(word, 40)!r}" if word else problem, token.start, token.end)
    known = agents if token.kind == "agent" else models
    sign = "@" if token.kind == "agent" else "#"
    if not word:
        raise QuickError(f"{sign} takes the name of {'an agent' if sign == '@' else 'a model'}", token.start, token.end)
    plain = word.rpartition("/")[2] if token.kind == "agent" else word
    if (known or token.kind == "agent") and plain not in known:
        message = f"unknown {token.kind} {one_line(word, 40)!r}: {_hint(plain, known)}"
        raise QuickError(message, token.start, token.end)
    if len(word) > 200:
        raise QuickError(f"the {token.kind}'s name is too long", token.start, token.end)
    return word


def _hint(word: str, known: Collection[str]) -> str:
    if not known:
        return "none are known yet"
    near = difflib.get_close_matches(word[:200], known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(one_line(name, 60) for name in near)}?"
    some = [one_line(name, 60) for name in sorted(known)[:6]]
    return f"there {'is' if len(known) == 1 else 'are'} {', '.join(some)}{' …' if len(known) > 6 else ''}"


def complete(line: str, cursor: int, agents: Iterable[str], models: Iterable[str]) -> Completion | None:
    """What could stand where the cursor is: names that begin with what is typed, then those that contain it.

    None when the cursor is in no `@` or `#` token, when nothing fits, or when the only fit is there already.
    """
    for token in tokens(line)[0]:
        if not token.start < cursor <= token.end or token.kind == "priority":
            continue
        typed = line[token.start + 1 : cursor].casefold()
        names = sorted(set(agents if token.kind == "agent" else models))
        starting = [name for name in names if name.casefold().startswith(typed)]
        containing = [name for name in names if typed in name.casefold() and name not in starting]
        fits = starting + containing
        if not fits or fits == [token.word]:
            return None
        sign = line[token.start]
        return Completion(token.kind, token.start, token.end, tuple(sign + name for name in fits))
    return None


def accept(line: str, completion: Completion, candidate: str) -> tuple[str, int]:
    """The line with a candidate put in and one space after it, and where the cursor goes."""
    rest = line[completion.end :]
    head = line[: completion.start] + candidate + " "
    return head + rest.removeprefix(" "), len(head)
