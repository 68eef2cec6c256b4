"""The OpenAI-compatible core against a server that speaks its protocol: what is sent and read, models, health."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from engine.cores.openai.core import OpenAICore
from engine.cores.openai.presets import Preset, Quirks, load_presets
from engine.cores.openai.requests import body_of
from engine.cores.port import (
    Attempt,
    Chunk,
    Core,
    Done,
    Fault,
    FaultKind,
    Message,
    Outcome,
    SlotState,
    ToolCall,
)
from engine.errors import CoreError, UsageError
from engine.model import GenerationOptions
from tests.cores.conformance import CoreConformance
from tests.cores.fake_ollama import InThread
from tests.cores.fake_openai import FakeOpenAI, event, refusal
from tests.cores.ollama_frames import Break, Final, Raw, Request, Say, Script, Status, Wait, dump, say
from tests.cores.test_ollama import QUICK, run, states

MODEL, OTHER = "tiny", "tiny-2"
TOOL = {"type": "function", "function": {"name": "add", "description": "", "parameters": {"type": "object"}}}


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(MODEL, OTHER) as server:
        yield server


@pytest_asyncio.fixture
async def core(fake: FakeOpenAI) -> AsyncIterator[OpenAICore]:
    core = OpenAICore(name="lab", base_url=fake.url, backoff=QUICK)
    await core.start()
    yield core
    await core.stop(drain_s=0)


def attempt(*messages: Message, model: str | None = None, task: int = 1, tools: Any = (), **options: Any) -> Attempt:
    turns = messages or (Message("system", "Be brief."), Message("user", "Say hello."))
    return Attempt(task, 1, 1, turns, model, GenerationOptions.model_validate(options), tools)


async def collect(core: Core, one: Attempt) -> tuple[list[Chunk], Outcome]:
    *chunks, outcome = [item async for item in core.run(one, core.slots()[0])]
    assert not isinstance(outcome, Chunk)
    return [chunk for chunk in chunks if isinstance(chunk, Chunk)], outcome


class TestConformance(CoreConformance):
    there: ClassVar[InThread]

    @pytest.fixture(scope="class", autouse=True)
    def _server(self) -> Iterator[None]:
        server = FakeOpenAI(MODEL, key="sk-conformance")
        server.usual = self.usual
        with InThread(server) as there:
            type(self).there = there
            yield

    @staticmethod
    def usual(request: Request) -> Script:
        """A long answer goes on until the client leaves."""
        if request.body["max_tokens"] > 8:
            return (Say("one"), Say(" two"), Wait())
        return say("Hello", " there", ".")

    def make_core(self) -> Core:
        return OpenAICore(name="lab", base_url=self.there.server.host, slots=2, key="sk-conformance")

    async def at_rest(self, core: Core) -> None:
        await self.there.until(lambda server: server.active == 0)


class TestWhatIsSent:
    def body(self, quirks: Quirks | None = None, **options: Any) -> dict[str, Any]:
        body = body_of(attempt(**options), MODEL, quirks or Quirks(), priority=False)
        return {name: value for name, value in body.items() if name not in ("model", "messages", "stream_options")}

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
        assert self.body(Quirks(json_schema=False), format=strict) == {"response_format": plain}
        assert self.body(Quirks(unsupported=frozenset({"response_format"})), format="json") == {}
        for schema, enforced in ((closed, None), (strict, True), (nested, None)):
            sent = self.body(format=schema)["response_format"]["json_schema"]
            assert (sent["schema"], sent.get("strict")) == (schema, enforced)

    @pytest.mark.parametrize(
        ("way", "think", "expected"),
        [
            ("", True, {}),
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
        assert "tools" not in body_of(with_tool, MODEL, Quirks(unsupported=frozenset({"tools"})), priority=False)

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
        text, done = await run(core, attempt(endpoint="raw", max_tokens=3, think=True))
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


class TestWhatIsRead:
    async def test_text_thinking_and_usage(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        fake.scripts.append(say("Hel", "lo.", thinking=["Let me ", "see."]))
        chunks, done = await collect(core, attempt())
        pieces = [(chunk.kind, chunk.text) for chunk in chunks]
        assert pieces == [("thinking", "Let me "), ("thinking", "see."), ("text", "Hel"), ("text", "lo.")]
        assert isinstance(done, Done)
        assert (done.model, done.reason) == (MODEL, "stop")
        assert (done.usage.tokens_in, done.usage.tokens_out) == (13, 4)
        assert done.usage.prefill_s > 0  # seen from here: the server tells no times
        assert done.usage.decode_s > 0

    async def test_text_is_cleaned(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        lone = b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'
        fake.scripts.append((Say("a\x1b[2J\u202eb\r\n"), Raw(lone), Final()))
        text, done = await run(core, attempt())
        assert isinstance(done, Done), done
        assert text == "a\ufffd[2J\ufffdb\n\ufffd"

    async def test_a_reason_is_enough_of_an_end(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        last = event({"choices": [{"delta": {}, "finish_reason": "length"}]})
        fake.scripts.append((Say("one"), Raw(last)))
        text, done = await run(core, attempt())
        assert isinstance(done, Done)
        assert (text, done.reason, done.usage.tokens_out) == ("one", "length", 0)  # the kernel counts then

    async def test_done_is_enough_of_an_end(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        fake.scripts.append((Say("one"), Raw(event(b"[DONE]"))))
        text, done = await run(core, attempt())
        assert isinstance(done, Done)
        assert (text, done.reason) == ("one", "stop")

    async def test_what_comes_after_the_end_does_not_count(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        fake.scripts.append((Say("one"), Final(), Raw(event(b"oops")), Break()))
        text, done = await run(core, attempt())
        assert isinstance(done, Done)
        assert text == "one"

    async def test_a_whole_answer_at_once_is_taken(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        whole = {"choices": [{"message": {"role": "assistant", "content": "all"}, "finish_reason": "stop"}],
                 "usage": {"prompt_tokens": 2, "completion_tokens": 1}, "model": MODEL}  # fmt: skip
        fake.scripts.append((Raw(event(whole)),))
        text, done = await run(core, attempt())
        assert isinstance(done, Done)
        assert (text, done.usage.tokens_in, done.usage.tokens_out) == ("all", 2, 1)

    async def test_calls_come_in_pieces(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        def piece(index: int, **function: str) -> Raw:
            call: dict[str, Any] = {"index": index, "function": function}
            if "name" in function:
                call |= {"id": f"id{index}", "type": "function"}
            return Raw(event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}))

        pieces = (piece(0, name="add", arguments=""), piece(0, arguments='{"a": '), piece(1, name="now", arguments=""),
                  piece(0, arguments='"\\u001b"}'))  # fmt: skip
        fake.scripts.append((Say("I ask."), *pieces, Final(reason="tool_calls")))
        text, done = await run(core, attempt(tools=(TOOL,)))
        assert isinstance(done, Done), done
        assert done.reason == "tool_calls"
        assert done.tool_calls == (ToolCall("add", {"a": "\ufffd"}, "id0"), ToolCall("now", {}, "id1"))
        assert text == "I ask."

    async def test_other_choices_are_passed_over(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        fake.scripts.append((Say("one"), Raw(event({"choices": [{"index": 1, "delta": {"content": "two"}}]})), Final()))
        assert (await run(core, attempt()))[0] == "one"


class TestModels:
    async def test_the_first_one_listed_answers(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        info = await core.inspect()
        assert [model.name for model in info.models] == [MODEL, OTHER]
        assert (info.healthy, info.default_model) == (True, MODEL)
        assert not info.models[0].loaded

    async def test_a_model_that_is_not_listed_is_not_asked_for(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        _, fault = await run(core, attempt(model="gpt-9"))
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.reason) == (FaultKind.NO_MODEL, f"model 'gpt-9' not found; it has: {MODEL}, {OTHER}")
        assert fake.chats() == []

    async def test_a_model_that_came_meanwhile_is_found(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        fake.models = type(fake)("new").models
        _, done = await run(core, attempt(model="new"))
        assert isinstance(done, Done)
        assert done.model == "new"

    async def test_a_provider_is_asked_and_its_refusal_told(self, fake: FakeOpenAI) -> None:
        core = OpenAICore(name="lab", base_url=fake.url, preset=load_presets()["openai"], key="k" * 20)
        await core.start()
        info = await core.inspect()
        assert (info.healthy, info.default_model) == (False, None)
        assert "name one for the core or the task; it has: tiny, tiny-2" in info.detail
        _, nothing = await run(core, attempt())
        _, unknown = await run(core, attempt(model="gpt-9"))
        await core.stop(drain_s=0)
        assert isinstance(nothing, Fault)
        assert isinstance(unknown, Fault)
        assert (nothing.kind, unknown.kind) == (FaultKind.NO_MODEL, FaultKind.NO_MODEL)
        assert unknown.reason == "The model `gpt-9` does not exist.; it has: tiny, tiny-2"
        assert len(fake.chats()) == 1

    async def test_what_cannot_chat_is_known_by_its_name(self, fake: FakeOpenAI) -> None:
        fake.models = type(fake)("text-embedding-3", "gpt-tiny", "tts-1").models
        core = OpenAICore(name="lab", base_url=fake.url, preset=load_presets()["openai"], key="k" * 20)
        models = (await core.inspect()).models
        await core.stop(drain_s=0)
        assert [model.name for model in models if model.chats] == ["gpt-tiny"]

    async def test_facts_of_models_have_many_names(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        listed = [
            {"id": "vllm", "max_model_len": 1}, {"id": "groq", "context_window": 2},
            {"id": "novita", "context_size": 3}, {"id": "llama", "meta": {"n_ctx_train": 4, "size": 5}},
            {"id": "odd\n\x1b", "context_length": "many"},
        ]  # fmt: skip
        fake.overrides["/v1/models"] = Status(200, dump({"data": listed}))
        models = (await core.inspect()).models
        assert [model.context_length for model in models] == [1, 2, 3, 4, None]
        assert models[3].size == 5
        assert models[4].name == "odd \ufffd"

    async def test_a_server_without_a_list_is_known_by_its_answer(self, fake: FakeOpenAI) -> None:
        fake.overrides["/v1/models"] = Status(401, b'{"error":{"message":"x-api-key header is required"}}')
        preset = load_presets()["anthropic"]
        core = OpenAICore(name="lab", base_url=fake.url, preset=preset, key="k" * 20, default_model=MODEL)
        await core.start()
        info = await core.inspect()
        _, done = await run(core, attempt())
        await core.stop(drain_s=0)
        assert (info.healthy, info.default_model, info.models) == (True, MODEL, ())
        assert isinstance(done, Done)


class TestHealth:
    async def test_it_goes_down_and_comes_back(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        await fake.stop()
        _, fault = await run(core, attempt())
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.UNREACHABLE, True)
        assert {slot.state for slot in core.slots()} == {SlotState.DOWN}
        assert not (await core.inspect()).healthy
        events = states(core, "up")
        await fake.start()
        await events
        assert isinstance((await run(core, attempt(task=2)))[1], Done)

    async def test_it_waits_for_a_server_that_need_not_answer(self, fake: FakeOpenAI) -> None:
        await fake.stop()
        core = OpenAICore(name="lab", base_url=fake.url, must_answer=False, backoff=QUICK)
        await core.start()
        assert {slot.state for slot in core.slots()} == {SlotState.DOWN}
        events = states(core, "up")
        await fake.start()
        await events
        await core.stop(drain_s=0)

    async def test_a_provider_without_a_key_is_not_even_asked(self, fake: FakeOpenAI) -> None:
        core = OpenAICore(name="lab", base_url=fake.url, preset=load_presets()["groq"])
        with pytest.raises(CoreError, match=r"Groq at .* needs a key; set GROQ_API_KEY"):
            await core.start()
        assert fake.requests == []

    async def test_a_key_on_an_open_road_is_told(self) -> None:
        exposed = OpenAICore(name="lab", base_url="http://192.0.2.1:8000", key="k" * 20)
        covered = OpenAICore(name="lab", base_url="https://192.0.2.1", key="k" * 20)
        assert "unencrypted" in exposed._exposed()
        assert covered._exposed() == ""
        for core in (exposed, covered):
            await core.stop(drain_s=0)


def test_presets_are_what_they_should_be() -> None:
    presets = load_presets()
    hosted = {"openai", "anthropic", "gemini", "groq", "deepseek", "novita", "huggingface"}
    assert {name for name, preset in presets.items() if preset.hosted} == hosted
    assert set(presets) - hosted == {"vllm", "sglang", "llamacpp", "lmstudio", "tgi"}
    for preset in presets.values():
        assert isinstance(preset, Preset)
        assert preset.key_env
        assert preset.base_url.startswith("https://" if preset.hosted else "http://127.0.0.1:")
        assert preset.quirks.picks_first != preset.hosted
        assert preset.tried_live is (preset.name == "llamacpp")
    with pytest.raises(TypeError):
        presets["mine"] = presets["vllm"]  # type: ignore[index]


@pytest.mark.parametrize("key", ["two words", "two\nlines", "ключ"])
def test_what_can_be_no_key_is_refused_unseen(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        OpenAICore(name="lab", base_url="127.0.0.1:1", key=key, key_env="LAB_KEY")
    assert "LAB_KEY" in str(caught.value)
    assert key not in str(caught.value)
