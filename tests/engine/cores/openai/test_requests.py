"""Requests of the OpenAI-compatible core: messages, options, tools, and corrections after a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from engine.cores.openai.core import OpenAICore
from engine.cores.openai.presets import Quirks, load_presets
from engine.cores.openai.requests import body_of, lacking_options
from engine.cores.options import OptionCheck
from engine.cores.port import Attempt, Done, Fault, FaultKind, Message, ToolCall
from tests.engine.cores.helpers import Raw
from tests.engine.cores.ollama.test_core import QUICK, run
from tests.engine.cores.openai.fake_server import FakeOpenAI, event, refusal
from tests.engine.cores.openai.test_core import MODEL, TOOL, attempt


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(MODEL) as server:
        yield server


@pytest_asyncio.fixture
async def core(fake: FakeOpenAI) -> AsyncIterator[OpenAICore]:
    core = OpenAICore(name="lab", base_url=fake.url, backoff=QUICK)
    await core.start()
    yield core
    await core.stop(drain_s=0)


class TestWhatIsSent:
    def body(self, quirks: Quirks | None = None, **options: Any) -> dict[str, Any]:
        admitted = self.admit(quirks, **options)
        assert not isinstance(admitted, Fault), admitted
        body = body_of(admitted, MODEL, quirks or Quirks(), priority=False)
        return {name: value for name, value in body.items() if name not in ("model", "messages", "stream_options")}

    def admit(self, quirks: Quirks | None = None, **options: Any) -> Attempt | Fault:
        one = attempt(**options)
        return OptionCheck("lab", lambda _notice: None).admit(one, lacking_options(one, quirks or Quirks(), "Lab"))

    def assert_refused(self, option: str, quirks: Quirks, **options: Any) -> None:
        fault = self.admit(quirks, **options)
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.BAD_REQUEST, False)
        assert fault.reason.startswith(f"core lab cannot honour the option {option}: ")

    async def test_on_the_wire(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        await run(core, attempt(max_tokens=9, temperature=0.5, seed=3, num_ctx=4096, keep_alive="5m", stop=("END",)))
        (request,) = fake.chats()
        assert request.path == "/v1/chat/completions"
        assert request.body == {
            "model": MODEL,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 9,
            "temperature": 0.5,
            "seed": 3,
            "stop": ["END"],
        }

    async def test_nothing_of_the_environment_is_sent(self, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL"):
            monkeypatch.setenv(f"OPENAI_{name}", "http://127.0.0.1:9/secret")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: secret\nAuthorization: Bearer secret")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        core = OpenAICore(name="lab", base_url=fake.url)
        await core.start()
        assert isinstance((await run(core, attempt()))[1], Done)
        await core.stop(drain_s=0)
        for request in fake.requests:
            assert "secret" not in str(request)
            names = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
            assert set(request.headers) <= names
            assert request.headers["user-agent"] == "aios-tui"

    def test_what_nobody_asked_for_is_left_to_the_server(self) -> None:
        assert self.body() == {}

    def test_options_go_where_the_server_takes_them(self) -> None:
        every: dict[str, Any] = {
            "max_tokens": 9,
            "seed": 1,
            "top_p": 0.5,
            "top_k": 3,
            "min_p": 0.1,
            "repeat_penalty": 1.1,
        }
        assert self.body(**every) == {"max_tokens": 9, "seed": 1, "top_p": 0.5}
        quirks = Quirks(
            token_limit="max_completion_tokens",
            unsupported=frozenset({"seed"}),
            extensions={"top_k": "top_k", "repeat_penalty": "repetition_penalty"},
        )
        expected = {"max_completion_tokens": 9, "top_p": 0.5, "top_k": 3, "repetition_penalty": 1.1}
        assert self.body(quirks, **every) == expected

    def test_formats(self) -> None:
        closed = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        strict = {**closed, "additionalProperties": False}
        nested = {**strict, "properties": {"a": closed}}
        plain = {"type": "json_object"}
        assert self.body(format="json") == {"response_format": plain}
        assert self.body(Quirks(json_schema=False), format="json") == {"response_format": plain}
        self.assert_refused("format", Quirks(json_schema=False), format=strict)
        self.assert_refused("format", Quirks(unsupported=frozenset({"response_format"})), format="json")
        for schema, enforced in ((closed, None), (strict, True), (nested, None)):
            sent = self.body(format=schema)["response_format"]["json_schema"]
            assert (sent["schema"], sent.get("strict")) == (schema, enforced)

    @pytest.mark.parametrize(
        ("way", "think", "expected"),
        [
            ("", False, {}),
            ("reasoning_effort", True, {"reasoning_effort": "medium"}),
            ("reasoning_effort", False, {"reasoning_effort": "none"}),
            ("reasoning_effort", "high", {"reasoning_effort": "high"}),
            ("groq", False, {"reasoning_effort": "none"}),
            ("groq", "low", {"reasoning_effort": "low", "reasoning_format": "parsed"}),
            ("groq", True, {"reasoning_effort": "default", "reasoning_format": "parsed"}),
            ("chat_template_kwargs", False, {"chat_template_kwargs": {"enable_thinking": False}}),
            ("thinking", "high", {"thinking": {"type": "enabled"}}),
            ("thinking", False, {"thinking": {"type": "disabled"}}),
        ],
    )
    def test_thinking_is_said_in_each_ones_way(self, way: Any, think: Any, expected: dict[str, Any]) -> None:
        assert self.body(Quirks(think=way), think=think) == expected

    def test_thinking_is_refused_where_it_cannot_be_asked_for(self) -> None:
        self.assert_refused("think", Quirks(), think=True)
        self.assert_refused("think", Quirks(think="thinking"), think=True, endpoint="raw")

    def test_calls_and_their_answers_keep_together(self) -> None:
        asked = (ToolCall("add", {"a": 1}), ToolCall("mul", {"b": "é"}), ToolCall("add", {}, "own"))
        turns = (
            Message("user", "go"),
            Message("assistant", "", tool_calls=asked),
            Message("tool", "6", tool="mul"),
            Message("tool", "1", tool="add"),
            Message("tool", "0", tool="add", call="own"),
            Message("tool", "?", tool="nobody"),
        )
        _, calls, *answers = body_of(attempt(*turns), MODEL, Quirks(), priority=False)["messages"]
        assert calls["content"] is None
        assert [call["function"] for call in calls["tool_calls"]] == [
            {"name": "add", "arguments": '{"a": 1}'},
            {"name": "mul", "arguments": '{"b": "é"}'},
            {"name": "add", "arguments": "{}"},
        ]
        first, second, third = [call["id"] for call in calls["tool_calls"]]
        assert third == "own"
        assert [answer["tool_call_id"] for answer in answers] == [second, first, "own", "call_0"]

    def test_tools_go_to_those_who_take_them(self) -> None:
        with_tool = attempt(tools=(TOOL,))
        assert body_of(with_tool, MODEL, Quirks(), priority=False)["tools"] == [TOOL]
        self.assert_refused("tools", Quirks(unsupported=frozenset({"tools"})), tools=(TOOL,))
        self.assert_refused("tools", Quirks(), tools=(TOOL,), endpoint="raw")

    @pytest.mark.parametrize(
        ("refused", "sent"),
        [
            ("Extra inputs are not permitted: stream_options", {"max_tokens": 9}),
            ("'max_tokens' is not supported; use 'max_completion_tokens'", {"max_completion_tokens": 9}),
        ],
    )
    async def test_a_field_that_is_refused_is_left_out_from_then_on(
        self, fake: FakeOpenAI, core: OpenAICore, refused: str, sent: dict[str, int]
    ) -> None:
        fake.scripts.append(refusal(400, refused))
        for task in (1, 2):
            assert isinstance((await run(core, attempt(task=task, max_tokens=9)))[1], Done)
        bodies = [request.body for request in fake.chats()]
        assert len(bodies) == 3  # the refusal cost one request, once
        for body in bodies[1:]:
            assert {name: body[name] for name in body if name.startswith("max_")} == sent
            assert ("stream_options" in body) == ("stream_options" not in refused)

    async def test_a_request_that_stays_refused_is_not_sent_for_ever(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        fake.scripts += [refusal(400, "stream_options: no")] * 2
        _, fault = await run(core, attempt())
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.BAD_REQUEST
        assert len(fake.chats()) == 2

    async def test_the_priority_is_passed_on_where_configured(self, fake: FakeOpenAI) -> None:
        for passed, sent in ((True, 5), (False, None)):
            core = OpenAICore(name="lab", base_url=fake.url, priority=passed)
            await core.start()
            await run(core, attempt())
            await core.stop(drain_s=0)
            assert fake.chats()[-1].body.get("priority") == sent

    async def test_generate_is_a_chat_of_one_prompt(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        turns = [Message("system", "s"), Message("user", "u1"), Message("assistant", "a"), Message("user", "u2")]
        await run(core, attempt(*turns, endpoint="generate"))
        assert [turn["content"] for turn in fake.chats()[0].body["messages"]] == ["s", "u2"]

    async def test_raw_is_a_completion(self, fake: FakeOpenAI) -> None:
        core = OpenAICore(name="lab", base_url=fake.url, preset=load_presets()["vllm"])
        await core.start()
        fake.scripts.append((Raw(event({"choices": [{"text": "four", "finish_reason": "stop"}]})),))
        text, done = await run(core, attempt(endpoint="raw", max_tokens=3))
        await core.stop(drain_s=0)
        assert isinstance(done, Done)
        assert text == "four"
        (request,) = fake.chats()
        assert request.path == "/v1/completions"
        assert (request.body["prompt"], request.body["max_tokens"]) == ("Say hello.", 3)
        assert not {"messages", "chat_template_kwargs"} & set(request.body)

    async def test_raw_is_refused_where_there_is_no_such_route(self, fake: FakeOpenAI) -> None:
        preset = load_presets()["groq"]
        core = OpenAICore(name="lab", base_url=fake.url, preset=preset, key="k" * 20, default_model=MODEL)
        await core.start()
        _, fault = await run(core, attempt(endpoint="raw"))
        await core.stop(drain_s=0)
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.BAD_REQUEST
        assert fake.chats() == []
