"""Options: the table of what each kind of core does with them, the cores that follow it, and the page that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from engine.cores import scripted
from engine.cores.embedded import requests as embedded
from engine.cores.openai import requests as openai
from engine.cores.openai.presets import Quirks, load_presets
from engine.cores.options import HARMLESS, OptionCheck, messages_of
from engine.cores.port import Attempt, Fault, FaultKind, Message
from engine.task import GenerationOptions


class Support(StrEnum):
    """The values are the words on the page. DEPENDS: on the value, the model, the server or the preset."""

    HONOURED = "honoured"
    DEPENDS = "depends"
    IGNORED = "ignored, with a notice"
    REFUSED = "refused"


KINDS = ("embedded", "ollama", "openai", "scripted")
"""The columns of `SUPPORT`; a preset's column is `openai`."""

_YES, _DEPENDS, _IGNORED, _REFUSED = Support
SUPPORT: Mapping[str, tuple[Support, Support, Support, Support]] = {
    "max_tokens": (_YES, _YES, _YES, _YES),
    "temperature": (_YES, _YES, _DEPENDS, _IGNORED),
    "seed": (_YES, _YES, _DEPENDS, _IGNORED),
    "top_k": (_YES, _YES, _DEPENDS, _IGNORED),
    "top_p": (_YES, _YES, _DEPENDS, _IGNORED),
    "min_p": (_YES, _YES, _DEPENDS, _IGNORED),
    "repeat_penalty": (_YES, _YES, _DEPENDS, _IGNORED),
    "stop": (_YES, _YES, _DEPENDS, _YES),
    "num_ctx": (_IGNORED, _YES, _IGNORED, _IGNORED),
    "keep_alive": (_IGNORED, _YES, _IGNORED, _IGNORED),
    "think": (_REFUSED, _DEPENDS, _DEPENDS, _YES),
    "format": (_YES, _DEPENDS, _DEPENDS, _DEPENDS),
    "endpoint": (_DEPENDS, _YES, _DEPENDS, _YES),
    "tools": (_REFUSED, _DEPENDS, _DEPENDS, _REFUSED),
}
PAGE = Path(__file__).parents[3] / "docs" / "cores.md"
TOOL: Mapping[str, Any] = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
EXTREME: dict[str, Any] = {
    "max_tokens": 9, "temperature": 0.5, "seed": 3, "top_k": 4, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.1,
    "stop": ("END",), "num_ctx": 4096, "keep_alive": "5m", "think": "high", "format": {"type": "object"},
    "endpoint": "raw",
}  # fmt: skip
MILD: dict[str, Any] = EXTREME | {"think": False, "format": "json", "endpoint": "generate"}


def attempt(**options: Any) -> Attempt:
    return Attempt(1, 1, 1, (Message("user", "Hi"),), options=GenerationOptions.model_validate(options))


def lacking(kind: str, one: Attempt) -> set[str]:
    """Options that no core of this kind honours in the attempt; for `openai`, that some preset does not."""
    match kind:
        case "embedded":
            return set(embedded.lacking_options(one, 4096))
        case "scripted":
            return set(scripted.lacking_options(one))
        case "openai":
            quirks = [Quirks(), *(preset.quirks for preset in load_presets().values())]
            return {option for each in quirks for option in openai.lacking_options(one, each, "it")}
        case _:
            return set()


def test_the_table_has_every_option() -> None:
    assert set(SUPPORT) == {*GenerationOptions.model_fields, "tools"} == {*EXTREME, "tools"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ollama"])
def test_the_cores_follow_the_table(kind: str) -> None:
    extreme, mild = lacking(kind, attempt(**EXTREME)), lacking(kind, attempt(**MILD))
    for option, row in SUPPORT.items():
        support = row[KINDS.index(kind)]
        if support is Support.IGNORED:
            assert option in extreme & mild & HARMLESS
        elif support is Support.REFUSED:
            assert option in extreme - HARMLESS
        elif support is Support.HONOURED:
            assert option not in extreme | mild


def test_ollama_is_sent_every_option() -> None:
    """The server refuses an option that its model lacks: `tests/engine/cores/ollama/test_requests.py`."""
    column = {option: row[KINDS.index("ollama")] for option, row in SUPPORT.items()}
    assert set(column.values()) == {Support.HONOURED, Support.DEPENDS}
    assert {option for option, support in column.items() if support is Support.DEPENDS} == {"think", "format", "tools"}


def test_the_page_shows_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"| option | {' | '.join(f'`{kind}`' for kind in KINDS)} |" in text
    for option, row in SUPPORT.items():
        assert f"| `{option}` | {' | '.join(row)} |" in text


class TestOptionCheck:
    def test_an_essential_option_is_refused_in_one_line(self) -> None:
        fault = OptionCheck("den", lambda _notice: None).admit(attempt(think=True), {"think": "it does not think"})
        assert fault == Fault(
            FaultKind.BAD_REQUEST,
            "core den cannot honour the option think: it does not think; leave it out, or choose another core",
            retryable=False,
        )

    def test_a_harmless_option_is_cleared_and_reported_once(self) -> None:
        notices: list[str] = []
        check = OptionCheck("den", notices.append)
        for _ in range(2):
            admitted = check.admit(attempt(seed=3, top_k=1), {"seed": "it has none", "min_p": "it has none"})
            assert isinstance(admitted, Attempt)
            assert (admitted.options.seed, admitted.options.top_k) == (None, 1)
        assert notices == ["core den ignores the option seed: it has none"]

    def test_an_agents_option_is_cleared_without_a_word(self) -> None:
        notices: list[str] = []
        wish = replace(attempt(think="low", seed=1), dispensable=frozenset({"think", "seed"}))
        admitted = OptionCheck("den", notices.append).admit(wish, {"think": "no", "seed": "no"})
        assert isinstance(admitted, Attempt)
        assert (admitted.options, notices) == (GenerationOptions(), [])

    def test_not_to_think_is_harmless(self) -> None:
        notices: list[str] = []
        assert isinstance(OptionCheck("den", notices.append).admit(attempt(think=False), {"think": "no"}), Attempt)
        assert notices == ["core den ignores the option think: no"]

    def test_tools_are_an_option(self) -> None:
        check = OptionCheck("den", lambda _notice: None)
        assert isinstance(check.admit(replace(attempt(), tools=(TOOL,)), {"tools": "no"}), Fault)
        assert check.admit(attempt(), {"tools": "no"}) == attempt()


@pytest.mark.parametrize(
    ("endpoint", "kept"), [(None, "s t u a v"), ("chat", "s t u a v"), ("generate", "s v"), ("raw", "v")]
)
def test_the_option_endpoint_chooses_messages(endpoint: str | None, kept: str) -> None:
    turns = [("system", "s"), ("system", "t"), ("user", "u"), ("assistant", "a"), ("user", "v")]
    messages = tuple(Message(role, text) for role, text in turns)  # type: ignore[arg-type]
    one = replace(attempt(endpoint=endpoint), messages=messages)
    assert " ".join(message.content for message in messages_of(one)) == kept
