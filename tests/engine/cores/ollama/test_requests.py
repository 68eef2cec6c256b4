"""Requests to an Ollama server: options, thinking, formats, tools and plain generation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from engine.cores.ollama.core import OllamaCore
from engine.cores.ollama.requests import UnfitError, request_of
from engine.cores.port import Attempt, Chunk, Done, Fault, FaultKind, Message, Outcome, ToolCall
from engine.task import GenerationOptions
from tests.engine.cores.helpers import Final, Raw, Say, Status, say
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FakeModel

PLAIN, CLEVER = "smollm2:135m", "qwen3:8b"
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a place up",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "object", "properties": {"city": {"type": "string"}}}},
            "required": ["place"],
        },
    },
}


CALLING = (
    '{"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": '
    '[{"function": {"name": "f", "arguments": ARGUMENTS}}]}, "done": false}\n'
)


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOllama]:
    clever = FakeModel(CLEVER, capabilities=("completion", "thinking", "tools"))
    async with FakeOllama(PLAIN, clever) as server:
        yield server


@pytest_asyncio.fixture
async def core(fake: FakeOllama) -> AsyncIterator[OllamaCore]:
    core = OllamaCore(fake.host)
    await core.start()
    yield core
    await core.stop(drain_s=0)


def attempt(model: str = CLEVER, **options: Any) -> Attempt:
    turns = (Message("system", "Be brief."), Message("user", "Hello"), Message("assistant", "Yes?"))
    return Attempt(1, 1, 1, (*turns, Message("user", "Why?")), model, GenerationOptions.model_validate(options))


async def run(core: OllamaCore, one: Attempt) -> tuple[list[Chunk], Outcome]:
    items = [item async for item in core.run(one, core.slots()[0])]
    outcome = items.pop()
    assert not isinstance(outcome, Chunk)
    return [item for item in items if isinstance(item, Chunk)], outcome


EVERYTHING: dict[str, Any] = {
    "max_tokens": 9, "temperature": 0.5, "seed": 3, "num_ctx": 4096, "top_k": 7, "top_p": 0.5, "min_p": 0.1,
    "repeat_penalty": 1.5, "stop": ["\n\n", "END"],
}  # fmt: skip
SENT = {
    "num_predict": 9, "temperature": 0.5, "seed": 3, "num_ctx": 4096, "top_k": 7, "top_p": 0.5, "min_p": 0.1,
    "repeat_penalty": 1.5, "stop": ["\n\n", "END"],
}  # fmt: skip


class TestOptions:
    async def test_all_of_them_reach_the_server(self, fake: FakeOllama, core: OllamaCore) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
        await run(core, attempt(**EVERYTHING, think="high", format=schema, keep_alive="1.5h"))
        (asked,) = fake.chats()
        assert asked.path == "/api/chat"
        assert asked.body["options"] == SENT
        assert (asked.body["think"], asked.body["format"], asked.body["keep_alive"]) == ("high", schema, "1.5h")

    async def test_what_is_not_asked_for_is_not_sent(self, fake: FakeOllama, core: OllamaCore) -> None:
        await run(core, attempt())
        assert set(fake.chats()[0].body) == {"model", "stream", "messages"}

    def test_every_option_is_one_that_is_sent_or_stands_beside(self) -> None:
        """A new field of GenerationOptions has to be thought of here, too."""
        known = {*EVERYTHING, "think", "format", "keep_alive", "endpoint"}
        assert known == set(GenerationOptions.model_fields)

    @pytest.mark.parametrize(("given", "sent"), [("0", 0), ("-1", -1), ("300s", "300s"), ("5m", "5m")])
    def test_how_long_a_model_stays(self, given: str, sent: object) -> None:
        """The server takes a text for a duration with a unit, and a negative number for ever."""
        assert request_of(CLEVER, attempt(keep_alive=given))[1]["keep_alive"] == sent

    @pytest.mark.parametrize("wish", [False, True])
    async def test_thinking_off_is_not_thinking_unsaid(self, fake: FakeOllama, core: OllamaCore, wish: bool) -> None:
        await run(core, attempt(think=wish))
        assert fake.chats()[0].body["think"] is wish


class TestEndpoints:
    async def test_generate_is_the_last_message_and_the_system(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append(say("Because", ".", thinking=["Hm", "…"]))
        chunks, done = await run(core, attempt(endpoint="generate", max_tokens=5, think=True, format="json"))
        assert [(chunk.kind, chunk.text) for chunk in chunks] == [
            ("thinking", "Hm"), ("thinking", "…"), ("text", "Because"), ("text", "."),
        ]  # fmt: skip
        assert isinstance(done, Done)
        assert (done.model, done.usage.tokens_in, done.usage.tokens_out) == (CLEVER, 13, 4)
        (asked,) = fake.chats()
        assert asked.path == "/api/generate"
        assert asked.body == {
            "model": CLEVER, "stream": True, "prompt": "Why?", "system": "Be brief.", "think": True, "format": "json",
            "options": {"num_predict": 5},
        }  # fmt: skip

    async def test_raw_is_the_prompt_and_nothing_else(self, fake: FakeOllama, core: OllamaCore) -> None:
        _, done = await run(core, attempt(endpoint="raw"))
        assert isinstance(done, Done)
        (asked,) = fake.chats()
        assert (asked.path, asked.body) == (
            "/api/generate", {"model": CLEVER, "stream": True, "prompt": "Why?", "raw": True}
        )  # fmt: skip

    async def test_tools_need_a_chat(self, fake: FakeOllama, core: OllamaCore) -> None:
        wrong = replace(attempt(endpoint="raw"), tools=(TOOL,))
        with pytest.raises(UnfitError):
            request_of(CLEVER, wrong)
        _, fault = await run(core, wrong)
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.BAD_REQUEST, False)
        assert "leave out the option endpoint" in fault.reason
        assert not fake.chats()


class TestTools:
    async def test_calls_are_collected(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append(
            (
                Say("Let me see."),
                Say(calls=(("look_up", {"place": {"city": "Brno\x1b"}}, "c1"), ("look_up", {"place": {}}))),
                Final(),
            )
        )
        chunks, done = await run(core, replace(attempt(), tools=(TOOL,)))
        assert isinstance(done, Done)
        assert done.tool_calls == (
            ToolCall("look_up", {"place": {"city": "Brno\ufffd"}}, "c1"),
            ToolCall("look_up", {"place": {}}),
        )
        assert done.reason == "tool_calls"
        assert [(chunk.kind, chunk.text) for chunk in chunks] == [("text", "Let me see."), ("progress", "")]
        assert fake.chats()[0].body["tools"] == [TOOL]  # the nested parameters, too

    async def test_a_turn_of_a_tool_goes_back(self, fake: FakeOllama, core: OllamaCore) -> None:
        call = ToolCall("look_up", {"place": {"city": "Brno"}}, "c1")
        turns = (
            Message("user", "Where?"),
            Message("assistant", "", (call,)),
            Message("tool", "Moravia", tool="look_up", call="c1"),
        )
        await run(core, replace(attempt(), messages=turns))
        assert fake.chats()[0].body["messages"] == [
            {"role": "user", "content": "Where?"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "function": {"name": "look_up", "arguments": {"place": {"city": "Brno"}}}}]},
            {"role": "tool", "content": "Moravia", "tool_name": "look_up", "tool_call_id": "c1"},
        ]  # fmt: skip

    async def test_a_flood_of_calls_ends(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((*(Say(calls=(("f", {}),)) for _ in range(300)), Final()))
        _, fault = await run(core, attempt())
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.BROKEN_STREAM
        assert "more than 256 tools" in fault.reason

    @pytest.mark.parametrize(
        "arguments", ['{"a": ' + "[" * 700 + "]" * 700 + "}", '{"a": NaN}', '"text"', "[1]", "7" * 5_000]
    )
    async def test_arguments_that_are_none(self, fake: FakeOllama, core: OllamaCore, arguments: str) -> None:
        line = CALLING.replace("ARGUMENTS", arguments)
        fake.scripts.append((Raw(line.encode()), Final()))
        _, fault = await run(core, attempt())
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.BROKEN_STREAM, True), fault
        assert isinstance((await run(core, replace(attempt(), task=2)))[1], Done)

    async def test_no_arguments_may_be_written_as_null(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((Raw(CALLING.replace("ARGUMENTS", "null").encode()), Final()))
        _, done = await run(core, attempt())
        assert isinstance(done, Done)
        assert done.tool_calls == (ToolCall("f", {}),)

    async def test_a_model_without_tools_says_so(self, core: OllamaCore) -> None:
        _, fault = await run(core, replace(attempt(PLAIN), tools=(TOOL,)))
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.BAD_REQUEST
        assert f"{PLAIN} does not support tools (refused by Ollama at" in fault.reason
        assert fault.reason.endswith("; take a model that can call tools")


class TestWhatCanBeLeftOut:
    async def test_the_agents_thinking_is_left_out_where_the_model_has_none(
        self, fake: FakeOllama, core: OllamaCore
    ) -> None:
        _, done = await run(core, replace(attempt(PLAIN, think=True), dispensable=frozenset({"think"})))
        assert isinstance(done, Done)
        assert [request.body.get("think") for request in fake.chats()] == [True, None]

    async def test_the_tasks_own_is_not(self, fake: FakeOllama, core: OllamaCore) -> None:
        _, fault = await run(core, attempt(PLAIN, think=True))
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.BAD_REQUEST, False)
        assert f'"{PLAIN}" does not support thinking (refused by Ollama at' in fault.reason
        assert "; leave out the option think" in fault.reason
        assert len(fake.chats()) == 1

    async def test_a_format_too_and_each_only_once(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts += [Status(500, "failed to parse grammar"), Status(400, "think value is not supported"), say("ok")]
        both = replace(attempt(think="high", format={"type": "object"}), dispensable=frozenset({"think", "format"}))
        assert isinstance((await run(core, both))[1], Done)
        fake.scripts += [Status(500, "bad format")] * 3
        assert isinstance((await run(core, both))[1], Fault)
        asked = [("format" in one.body, "think" in one.body) for one in fake.chats()]
        assert asked == [(True, True), (False, True), (False, False), (True, True), (False, True)]
