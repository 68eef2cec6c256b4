"""The scripted core: it passes the suite of every core, and does what its options say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.cores.port import Attempt, Chunk, Core, Done, Fault, FaultKind, Message
from engine.cores.scripted import ScriptedCore, ScriptedOptions
from engine.errors import UsageError
from engine.task import GenerationOptions
from engine.testing.conformance import CoreConformance, Run, run_to_end


class TestScriptedCore(CoreConformance):
    def make_core(self) -> Core:
        return ScriptedCore.parse("slots=3,tokens=2000,tps=500")


def attempt(prompt: str, *, task: int = 1, number: int = 1, max_tokens: int | None = None) -> Attempt:
    return Attempt(task, 1, number, (Message("user", prompt),), options=GenerationOptions(max_tokens=max_tokens))


async def reply(core: ScriptedCore, which: Attempt) -> str:
    run = await run_to_end(core, which, core.slots()[0])
    return "".join(item.text for item in run.items if isinstance(item, Chunk))


async def test_words_come_from_the_seed_and_the_prompt() -> None:
    one, same, other = (ScriptedCore.parse(f"tps=0,seed={seed}") for seed in (1, 1, 2))
    assert await reply(one, attempt("hello")) == await reply(same, attempt("hello", task=9))
    assert await reply(one, attempt("hello")) != await reply(other, attempt("hello"))
    assert await reply(one, attempt("hello")) != await reply(one, attempt("goodbye"))


async def test_a_reply_has_its_tokens_unless_it_is_capped() -> None:
    core = ScriptedCore.parse("tps=0,tokens=30")
    for cap, expected in [(None, 30), (10, 10), (50, 30)]:
        run = await run_to_end(core, attempt("p", max_tokens=cap), core.slots()[0])
        done = run.items[-1]
        assert isinstance(done, Done)
        assert done.usage.tokens_out == len(run.items) - 1 == expected


async def test_a_share_of_prompts_fails_always() -> None:
    core = ScriptedCore.parse("tps=0,ttft=0,fail=0.25")
    failed = []
    for number in range(200):
        ends = {
            type((await run_to_end(core, attempt(f"prompt {number}", number=n), core.slots()[0])).items[-1])
            for n in (1, 2)
        }
        assert len(ends) == 1, "whether a prompt fails does not hang on the attempt"
        failed.append(ends == {Fault})
    assert 30 < sum(failed) < 70


async def test_a_cut_stream_has_no_outcome_and_may_do_better_next_time() -> None:
    core = ScriptedCore.parse("tps=0,cut=0.5")
    ends = []
    for number in range(1, 20):
        items = [item async for item in core.run(attempt("p", number=number), core.slots()[0])]
        ends.append(bool(items) and isinstance(items[-1], Done))
    assert any(ends)
    assert not all(ends)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("speed=1", "speed: unknown option"),
        ("tps=fast", "tps: "),
        ("slots=0", "slots: "),
        ("fail=2", "fail: "),
        ("fail", "key=value"),
    ],
)
def test_a_bad_option_is_named(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        ScriptedCore.parse(text)
    assert "\n" not in str(error.value)


async def attempt_of(core: ScriptedCore, model: str | None, task: int) -> Done:
    found = [piece async for piece in core.run(Attempt(task, 1, 1, (Message("user", "p"),), model), core.slots()[0])]
    assert isinstance(found[-1], Done)
    return found[-1]


async def test_of_several_models_one_is_in_memory_and_another_has_to_be_loaded() -> None:
    core = ScriptedCore.parse("models=a|b,load=0.002,ttft=0,tps=0,tokens=1")
    info = await core.inspect()
    assert (info.default_model, info.one_model) == ("a", True)
    assert [(model.name, model.loaded) for model in info.models] == [("a", False), ("b", False)]
    done = [await attempt_of(core, model, task) for task, model in enumerate((None, "a", "b", "a"))]
    assert [one.model for one in done] == ["a", "a", "b", "a"]
    assert [round(one.usage.load_s, 4) for one in done] == [0.002, 0.0, 0.002, 0.002]
    assert [model.loaded for model in (await core.inspect()).models] == [True, False]


async def test_without_a_time_to_load_all_its_models_are_there() -> None:
    core = ScriptedCore.parse("model=b,models=a|b")
    info = await core.inspect()
    assert (info.default_model, info.one_model) == ("b", False)
    assert [(model.name, model.loaded) for model in info.models] == [("b", True), ("a", True)]


async def run_with(core: ScriptedCore, **options: Any) -> Run:
    one = replace(attempt("hello"), options=GenerationOptions.model_validate(options))
    return await run_to_end(core, one, core.slots()[0])


async def test_json_is_json_and_a_schema_is_refused() -> None:
    core = ScriptedCore.parse("tps=0,tokens=8")
    for tokens in (1, 8):
        run = await run_with(core, format="json", max_tokens=tokens)
        assert isinstance(run.items[-1], Done)
        assert list(json.loads(run.text)) == ["reply"]
        assert len(run.chunks) == tokens
    refused = (await run_with(core, format={"type": "object"})).items[-1]
    assert isinstance(refused, Fault)
    assert (refused.kind, refused.retryable) == (FaultKind.BAD_REQUEST, False)
    assert refused.reason.startswith("core scripted cannot honour the option format: ")


async def test_it_thinks_when_asked() -> None:
    core = ScriptedCore.parse("tps=0,tokens=8")
    plain, thinking = await run_with(core, think=False), await run_with(core, think="high")
    assert [chunk.kind for chunk in plain.chunks] == ["text"] * 8
    assert [chunk.kind for chunk in thinking.chunks] == ["thinking"] * 2 + ["text"] * 6


async def test_a_reply_ends_before_a_stop_text() -> None:
    core = ScriptedCore.parse("tps=0,tokens=8")
    whole = (await run_with(core)).text
    third = whole.split()[2]
    cut = await run_with(core, stop=("nowhere", f" {third}"))
    assert cut.text == whole.partition(f" {third}")[0]
    assert (await run_with(core, stop=(whole[:3],))).text == ""


async def test_the_option_endpoint_says_which_messages_count() -> None:
    core = ScriptedCore.parse("tps=0")
    messages = (Message("system", "s"), Message("user", "before"), Message("assistant", "a"), Message("user", "p"))

    async def words(kept: tuple[Message, ...], endpoint: str) -> str:
        options = GenerationOptions.model_validate({"endpoint": endpoint})
        return await reply(core, Attempt(1, 1, 1, kept, options=options))

    assert await words(messages, "raw") == await words(messages[-1:], "chat")
    assert await words(messages, "generate") == await words((messages[0], messages[-1]), "chat")
    assert await words(messages, "chat") != await words(messages, "raw")


async def test_an_ignored_option_is_reported_once() -> None:
    core = ScriptedCore.parse("tps=0")
    events = core.events()
    for _ in range(2):
        assert isinstance((await run_with(core, temperature=0.5, keep_alive="5m")).items[-1], Done)
    await core.stop(drain_s=0)
    assert [event.reason async for event in events if event.kind == "notice"] == [
        "core scripted ignores the option temperature: its words come from its own seed and the prompt",
        "core scripted ignores the option keep_alive: it has no model",
    ]


def test_the_page_has_every_option_and_its_default() -> None:
    text = (Path(__file__).parents[3] / "docs" / "cores.md").read_text(encoding="utf-8")
    _, _, section = text.partition("## The scripted core")
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section.partition("\n## ")[0], flags=re.MULTILINE)
    shown = {name: default.strip("`") for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    fields = ScriptedOptions.model_fields.items()
    expected = {name: "none" if field.default == "" else f"{field.default:g}" for name, field in fields}
    assert shown == expected | {"model": ScriptedOptions().names[0]}
