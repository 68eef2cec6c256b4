r"""The quick line's grammar: `@agent !priority #model`, in any order, before or after the prompt.

    @story_teller !2 #qwen3:8b Tell me a funny story
    Tell me a funny story !2 @story_teller

    line    = options prompt options
    options = { word that begins with @, ! or # }, each kind at most once in a line
    prompt  = text whose first word begins with none of the three signs

- `@` gives the agent, by name or as `author/name`; `!` the priority, a digit from 0, most urgent, to 9; `#` the model.
- Leading words that begin with a sign are options. So are trailing words, if a letter or digit follows the sign:
  `Bonjour !` is text. Everywhere else a sign is text: `mail a@b.c about issue #4 today`.
- An option that gives an unknown name is an error, and so is one given twice. While no model is known, a leading `#`
  takes any name, and a trailing one is an error.
- A backslash before the sign makes a leading or trailing word text; the backslash is removed. `say \!0` asks for the
  text `say !0`. Of several backslashes one is removed. Everywhere else a backslash is text.

Pure functions: the widget draws their results.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from engine.sanitise import one_line
from engine.task import LEAST_URGENT, MAX_PROMPT_CHARS, MOST_URGENT, TaskSpec
from engine.wording import did_you_mean

Kind = Literal["agent", "priority", "model"]
SIGNS: dict[str, Kind] = {"@": "agent", "!": "priority", "#": "model"}

_LEADING = re.compile(r"\s*([@!#])(\S*)")
_SIGNED = re.compile(r"\\*[@!#]")
_MAX_TRAILING = len(SIGNS) + 1
"""One more than can be valid, so that a duplicate is seen and a line of signs alone is not read for ever."""


class QuickError(ValueError):
    """A line that is not a task. `str(error)` is one line; `start` and `end` are the characters it is about."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class Token:
    """An option: a sign and the word after it, at `[start, end)` of the line; the sign itself is at `start`."""

    kind: Kind
    word: str
    start: int
    end: int
    trailing: bool = False


class SplitLine(NamedTuple):
    """The options of a line, in order, and its prompt at `[start, end)`, escapes included."""

    tokens: list[Token]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Completion:
    """Candidates for the option at the cursor, best first: each, sign included, may replace `[start, end)`."""

    kind: Kind
    start: int
    end: int
    candidates: tuple[str, ...]


def split(line: str) -> SplitLine:
    """Find the options before and after the prompt, and the prompt."""
    leading: list[Token] = []
    position = 0
    while match := _LEADING.match(line, position):
        leading.append(Token(SIGNS[match[1]], match[2], match.start(1), match.end()))
        position = match.end()
    rest = line[position:]
    start = position + len(rest) - len(rest.lstrip())
    end = max(start, len(line.rstrip()))
    trailing: list[Token] = []
    while len(trailing) < _MAX_TRAILING:
        before, _, word = _last_word(line[start:end])
        if not before or word[0] not in SIGNS or not any(character.isalnum() for character in word):
            break
        trailing.insert(0, Token(SIGNS[word[0]], word[1:], end - len(word), end, trailing=True))
        end = start + len(before)
    return SplitLine(leading + trailing, start, end)


def _last_word(text: str) -> tuple[str, str, str]:
    """Split a stripped text before its last word: (text before, gap, word); "" before when there is one word only."""
    parts = text.rsplit(None, 1)
    if len(parts) < 2:
        return "", "", text
    before = parts[0].rstrip()
    return before, text[len(before) : len(text) - len(parts[1])], parts[1]


def parse(line: str, agents: Collection[str], models: Collection[str] = (), *, agent: str = "chat") -> TaskSpec:
    """Return the task that a line describes.

    Args:
        agents: the names that `@` may give, plain or after an author and a slash.
        models: the names that `#` may give; while none are known, a leading `#` takes any.
        agent: the task's agent when the line names none.

    Raises:
        QuickError: with the place in the line.
    """
    found, start, end = split(line)
    values: dict[str, Any] = {"agent": agent}
    seen: set[Kind] = set()
    for token in found:
        if token.kind in seen:
            raise _error(token, f"the {token.kind} is given twice")
        seen.add(token.kind)
        values[token.kind] = _value(token, agents, models)
    prompt = _unescape(line[start:end])
    if not prompt:
        raise QuickError("the prompt is missing: write what the agent is to do", start, len(line))
    if len(prompt) > MAX_PROMPT_CHARS:
        raise QuickError(f"the prompt is longer than {MAX_PROMPT_CHARS:,} characters", start, end)
    return TaskSpec(prompt=prompt, **values)


def _unescape(prompt: str) -> str:
    """Remove one backslash from each escaped word of the runs of signed words at both ends of the prompt."""
    words = re.split(r"(\s+)", prompt)
    places = range(0, len(words), 2)

    def signed(place: int) -> bool:
        return _SIGNED.match(words[place]) is not None

    for place in {*takewhile(signed, places), *takewhile(signed, reversed(places))}:
        words[place] = words[place].removeprefix("\\")
    return "".join(words)


def _value(token: Token, agents: Collection[str], models: Collection[str]) -> str | int:
    """Return what a token gives. Raises QuickError."""
    word = token.word
    if token.kind == "priority":
        if len(word) == 1 and word in "0123456789":
            return int(word)
        problem = f"! takes a priority from {MOST_URGENT}, most urgent, to {LEAST_URGENT}"
        raise _error(token, f"{problem}, not {one_line(word, 40)!r}" if word else problem)
    if not word:
        is_agent = token.kind == "agent"
        raise _error(token, "@ takes the name of an agent" if is_agent else "# takes the name of a model")
    known = agents if token.kind == "agent" else models
    plain = word.rpartition("/")[2] if token.kind == "agent" else word
    if plain not in known and (known or token.kind == "agent" or token.trailing):
        hint = one_line(did_you_mean(plain, known, listed=6), 300) or "none are known yet"
        raise _error(token, f"unknown {token.kind} {one_line(word, 40)!r}: {hint}")
    if len(word) > 200:
        raise _error(token, f"the {token.kind}'s name is too long")
    return word


def _error(token: Token, message: str) -> QuickError:
    """An error about a token; one after the prompt may have been meant as text, so it names the escape."""
    sign = next(sign for sign, kind in SIGNS.items() if kind == token.kind)
    escape = f"; for text write \\{sign}{one_line(token.word, 40)}" if token.trailing else ""
    return QuickError(message + escape, token.start, token.end)


def complete(line: str, cursor: int, agents: Iterable[str], models: Iterable[str]) -> Completion | None:
    """Find names for the option at the cursor: those that begin with what is typed, then those that contain it.

    None when the cursor is in no `@` or `#` option, when nothing fits, or when the only fit is there already. A sign
    alone at the end of the line counts as the start of an option, also after a prompt.
    """
    for token in _completable(line):
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


def _completable(line: str) -> list[Token]:
    """The options of a line, and a sign that was just typed at its end."""
    found = split(line)
    _, gap, last = _last_word(line[found.start :])
    if gap and last in SIGNS:
        return [*found.tokens, Token(SIGNS[last], "", len(line) - 1, len(line), trailing=True)]
    return found.tokens


def accept(line: str, completion: Completion, candidate: str) -> tuple[str, int]:
    """Return the line with the candidate put in and a space after it, and the cursor's new place."""
    rest = line[completion.end :]
    head = line[: completion.start] + candidate + " "
    return head + rest.removeprefix(" "), len(head)
