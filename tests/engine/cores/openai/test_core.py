"""The OpenAI-compatible core against a server that speaks its protocol: what is sent and read, models, health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from engine.cores.openai.core import OpenAICore
from engine.cores.openai.presets import Preset, load_presets
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
from engine.task import GenerationOptions
from engine.testing.conformance import CoreConformance
from tests.engine.cores.helpers import Break, Final, InThread, Raw, Request, Say, Script, Status, Wait, dump, say
from tests.engine.cores.ollama.test_core import QUICK, run, states
from tests.engine.cores.openai.fake_server import FakeOpenAI, event
from tests.waiting import PATIENCE_S

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
        if request.body.get("response_format"):
            return say('{"a":', " 1}")
        if request.body["max_tokens"] > 8:
            return (Say("one"), Say(" two"), Wait())
        return say("Hello", " there", ".")

    def make_core(self) -> Core:
        return OpenAICore(name="lab", base_url=self.there.server.host, slots=2, key="sk-conformance")

    async def at_rest(self, core: Core) -> None:
        await self.there.until(lambda server: server.active == 0)


class TestWhatIsRead:
    async def test_text_thinking_and_usage(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        fake.scripts.append(say("Hel", "lo.", thinking=["Let me ", "see."]))
        chunks, done = await collect(core, attempt())
        pieces = [(chunk.kind, chunk.text) for chunk in chunks]
        assert pieces == [("thinking", "Let me "), ("thinking", "see."), ("text", "Hel"), ("text", "lo.")]
        assert isinstance(done, Done)
        assert (done.model, done.reason) == (MODEL, "stop")
        assert (done.usage.tokens_in, done.usage.tokens_out) == (13, 4)
        assert done.usage.prefill_s > 0  # measured here: the server reports no times
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

    async def test_another_order_or_count_is_no_other_list(self, fake: FakeOpenAI, core: OpenAICore) -> None:
        events = core.events()
        heard = asyncio.ensure_future(anext(events))
        for listed in ([OTHER, MODEL], [MODEL, OTHER], [OTHER, MODEL]):
            data = [{"id": name, "max_model_len": 10 + len(fake.requests)} for name in listed]
            fake.overrides["/v1/models"] = Status(200, dump({"data": data}))
            assert [model.name for model in (await core.inspect()).models] == listed
        await asyncio.sleep(0)
        assert not heard.done()
        fake.overrides["/v1/models"] = Status(200, dump({"data": [{"id": MODEL}]}))
        await core.inspect()
        async with asyncio.timeout(PATIENCE_S):
            assert (await heard).kind == "models"

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
        assert (info.healthy, info.default_model) == (True, None), "tasks may name one"
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
