"""The Ollama core against a server that speaks its wire format: good answers, choices of model, cancelling, health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import pytest
import pytest_asyncio

from engine.cores.ollama.core import OllamaCore
from engine.cores.port import (
    Attempt,
    Cancelled,
    Chunk,
    Core,
    Done,
    Fault,
    FaultKind,
    Message,
    Outcome,
    SlotEvent,
    SlotState,
)
from engine.errors import CoreError
from engine.task import GenerationOptions
from engine.testing.conformance import CoreConformance
from tests.engine.cores.helpers import Final, InThread, Request, Say, Script, Status, Wait, say, silent_port
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FakeModel
from tests.waiting import PATIENCE_S

MODEL = "smollm2:135m"
EMBEDDER = FakeModel("nomic-embed-text:latest", capabilities=("embedding",))
QUICK = (0.01, 0.02)
"""Pauses between probes, so that a test does not wait."""


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOllama]:
    async with FakeOllama(MODEL) as server:
        yield server


@pytest_asyncio.fixture
async def core(fake: FakeOllama) -> AsyncIterator[OllamaCore]:
    core = OllamaCore(fake.host, slots=1, backoff=QUICK)
    await core.start()
    yield core
    await core.stop(drain_s=0)


def attempt(task: int = 1, *, model: str | None = None, **options: float) -> Attempt:
    messages = (Message("system", "Be brief."), Message("user", "Say hello."))
    return Attempt(task, 1, 1, messages, model, GenerationOptions.model_validate(options))


async def run(core: Core, one: Attempt | None = None) -> tuple[str, Outcome]:
    """The text and the outcome of one attempt."""
    text = ""
    async with asyncio.timeout(PATIENCE_S):
        async for item in core.run(one or attempt(), core.slots()[0]):  # left open after its outcome, on purpose
            if isinstance(item, Chunk):
                text += item.text
            else:
                return text, item
    raise AssertionError("no outcome")


async def states(core: Core, *wanted: str) -> list[SlotEvent]:
    """Return the core's slot events, until all of `wanted` have come, in that order."""
    seen, left = [], list(wanted)
    async with asyncio.timeout(PATIENCE_S):
        async for event in core.events():
            if event.kind != "models":
                assert event.kind == left.pop(0), (event, wanted)
                seen.append(event)
            if not left:
                return seen
    raise AssertionError(f"the events ended before {left}")


class TestConformance(CoreConformance):
    there: ClassVar[InThread]

    @pytest.fixture(scope="class", autouse=True)
    def _server(self) -> Iterator[None]:
        server = FakeOllama(MODEL)
        server.usual = self.usual
        with InThread(server) as there:
            type(self).there = there
            yield

    @staticmethod
    def usual(request: Request) -> Script:
        """A long answer goes on until the client leaves."""
        if request.body.get("format"):
            return say('{"a":', " 1}")
        if request.body["options"]["num_predict"] > 8:
            return (Say("one"), Say(" two"), Wait())
        return say("Hello", " there", ".")

    def make_core(self) -> Core:
        return OllamaCore(self.there.server.host, slots=2)

    async def at_rest(self, core: Core) -> None:
        await self.there.until(lambda server: server.active == 0)


class TestAnswers:
    async def test_text_thinking_and_statistics(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append(say("Hel", "lo.", thinking=["Let me ", "see."], load_duration=2_500_000_000))
        items = [item async for item in core.run(attempt(), core.slots()[0])]
        pieces = [(item.kind, item.text) for item in items if isinstance(item, Chunk)]
        assert pieces == [("thinking", "Let me "), ("thinking", "see."), ("text", "Hel"), ("text", "lo.")]
        done = items[-1]
        assert isinstance(done, Done)
        assert (done.model, done.reason) == (MODEL, "stop")
        assert (done.usage.tokens_in, done.usage.tokens_out) == (13, 4)
        assert done.usage.load_s == pytest.approx(2.5)
        assert done.usage.prefill_s == pytest.approx(0.121783)
        assert done.usage.decode_s == pytest.approx(0.117981)

    async def test_zero_statistics_are_left_out_by_the_server(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append(say("Hi", prompt_eval_count=0, prompt_eval_duration=0, load_duration=0))
        _, done = await run(core)
        assert isinstance(done, Done)
        assert (done.usage.tokens_in, done.usage.load_s, done.usage.prefill_s) == (0, 0.0, 0.0)
        assert done.usage.tokens_out == 1

    async def test_text_in_the_final_record_counts(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((Say("one"), Final(text=" two", reason="length")))
        text, done = await run(core)
        assert text == "one two"
        assert isinstance(done, Done)
        assert done.reason == "length"

    async def test_what_is_sent(self, fake: FakeOllama, core: OllamaCore) -> None:
        await run(core, attempt(max_tokens=9, temperature=0.5, seed=3, num_ctx=4096))
        await run(core)
        first, second = fake.chats()
        assert first.body["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Say hello."},
        ]
        assert first.body["options"] == {"num_predict": 9, "temperature": 0.5, "seed": 3, "num_ctx": 4096}
        assert first.body["stream"] is True
        assert first.headers["accept-encoding"] == "identity"
        assert not second.body.get("options")

    @pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u2029", "\x1c", "\x0b"])
    async def test_no_character_in_the_text_ends_a_line(
        self, fake: FakeOllama, core: OllamaCore, separator: str
    ) -> None:
        fake.scripts.append(say(f"left{separator}right"))
        text, outcome = await run(core)
        assert isinstance(outcome, Done)
        assert text.startswith("left")
        assert text.endswith("right")

    async def test_text_is_sanitised(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append(say("a\x1b]0;title\x07", "b\r\nc", "\ud800d"))
        text, outcome = await run(core)
        assert isinstance(outcome, Done)
        assert text == "a\ufffd]0;title\ufffdb\nc\ufffdd"

    async def test_each_request_has_a_connection_of_its_own(self, fake: FakeOllama, core: OllamaCore) -> None:
        for number in range(5):
            assert isinstance((await run(core, attempt(number)))[1], Done)
        assert fake.connections == len(fake.requests)
        assert fake.disconnects == 0


class TestChoiceOfModel:
    async def default(self, fake: FakeOllama, default_model: str | None = None) -> str | None:
        core = OllamaCore(fake.host, default_model=default_model)
        try:
            return (await core.inspect()).default_model
        finally:
            await core.stop(drain_s=0)

    async def test_the_first_of_the_list(self) -> None:
        async with FakeOllama("new:1b", "old:1b") as fake:
            assert await self.default(fake) == "new:1b"

    async def test_rather_one_that_is_loaded(self) -> None:
        async with FakeOllama("new:1b", "old:1b", loaded=["old:1b"]) as fake:
            assert await self.default(fake) == "old:1b"

    async def test_rather_the_configured_one(self) -> None:
        async with FakeOllama("new:1b", "old:1b", "mine:1b", loaded=["old:1b"]) as fake:
            assert await self.default(fake, "mine:1b") == "mine:1b"

    async def test_never_one_that_only_embeds(self) -> None:
        async with FakeOllama(EMBEDDER, "old:1b", loaded=[EMBEDDER.name]) as fake:
            assert await self.default(fake) == "old:1b"

    async def test_an_older_server_is_asked_what_its_model_can(self) -> None:
        silent = FakeModel("bge:latest", capabilities=None, shown_capabilities=("embedding",))
        async with FakeOllama(silent, FakeModel("old:1b", capabilities=None, shown_capabilities=None)) as fake:
            assert await self.default(fake) == "old:1b"

    async def test_it_stays_when_another_gets_loaded(self, fake: FakeOllama, core: OllamaCore) -> None:
        await run(core)
        fake.models.insert(0, FakeModel("new:1b"))
        fake.loaded = ["new:1b"]
        assert (await core.inspect()).default_model == MODEL
        del fake.models[1]
        assert (await core.inspect()).default_model == "new:1b"

    async def test_an_attempt_names_its_own(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.models.append(FakeModel("other:1b"))
        _, done = await run(core, attempt(model="other:1b"))
        assert isinstance(done, Done)
        assert done.model == "other:1b"

    async def test_a_missing_model_names_the_installed_ones(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.models += [FakeModel("qwen3:8b"), EMBEDDER]
        _, fault = await run(core, attempt(model="qwen3:9b"))
        assert fault == Fault(
            FaultKind.NO_MODEL,
            f"model 'qwen3:9b' not found at {fake.host}; did you mean 'qwen3:8b'? installed: smollm2:135m, qwen3:8b; "
            f"to fetch it: aios-tui models pull qwen3:9b --core ollama@{fake.host}",
            retryable=False,
            model="qwen3:9b",
        )

    @pytest.mark.parametrize(
        ("name", "option"), [("den", "den"), ("127.0.0.1", "ollama@{}"), ("ollama-2", "ollama@{}")]
    )
    async def test_it_is_fetched_by_the_core_that_lacks_it(self, fake: FakeOllama, name: str, option: str) -> None:
        core = OllamaCore(fake.host, name=name)
        await core.start()
        _, fault = await run(core, attempt(model="qwen3:9b"))
        await core.stop(drain_s=0)
        assert isinstance(fault, Fault)
        assert fault.reason.endswith(f"aios-tui models pull qwen3:9b --core {option.format(fake.host)}")

    async def test_a_chosen_model_that_is_gone_is_replaced_at_the_next_attempt(
        self, fake: FakeOllama, core: OllamaCore
    ) -> None:
        assert isinstance((await run(core))[1], Done)
        fake.models = [FakeModel("new:1b")]
        fake.loaded = []
        _, fault = await run(core, attempt(2))
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.NO_MODEL, True)
        _, done = await run(core, attempt(3))
        assert isinstance(done, Done)
        assert done.model == "new:1b"

    @pytest.mark.parametrize(("name", "missing"), [("mine", False), ("mine:latest", False), ("mine:8b", True)])
    async def test_a_configured_model_that_is_not_there_is_said(self, name: str, missing: bool) -> None:
        async with FakeOllama("new:1b", "mine:latest") as fake:
            core = OllamaCore(fake.host, default_model=name)
            await core.start()
            info = await core.inspect()
            assert (info.healthy, info.default_model) == (True, name)
            assert (f"run: aios-tui models pull {name}" in info.detail) is missing
            if missing:
                _, fault = await run(core)
                assert isinstance(fault, Fault)
                assert (fault.kind, fault.retryable) == (FaultKind.NO_MODEL, False)
                assert "installed: new:1b, mine:latest" in fault.reason
            await core.stop(drain_s=0)

    async def test_no_model_at_all(self) -> None:
        async with FakeOllama(EMBEDDER) as fake:
            core = OllamaCore(fake.host)
            await core.start()
            info = await core.inspect()
            _, fault = await run(core)
            await core.stop(drain_s=0)
        assert not info.healthy
        assert "aios-tui models pull" in info.detail
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.NO_MODEL, False)
        assert "aios-tui models pull" in fault.reason


class TestCancel:
    async def test_the_server_sees_the_client_leave(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((Say("one"), Wait()))
        items = core.run(attempt(), core.slots()[0])
        assert await anext(items) == Chunk("text", "one")
        await core.cancel(attempt())
        assert await anext(items) == Cancelled()
        await fake.until(lambda server: server.disconnects == 1 and server.active == 0)

    async def test_also_before_the_first_record(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((Wait(),))
        waiting = asyncio.create_task(run(core))
        await fake.until(lambda server: server.active == 1)
        await core.cancel(attempt())
        assert await waiting == ("", Cancelled())
        await fake.until(lambda server: server.disconnects == 1 and server.active == 0)

    async def test_a_flood_nobody_takes_is_held_back(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((*(Say("word ") for _ in range(2_000)), Final()))
        items = core.run(attempt(), core.slots()[0])
        assert await anext(items) == Chunk("text", "word ")
        await core.cancel(attempt())
        rest = [item async for item in items]
        assert rest == [Cancelled()]

    async def test_stop_cancels_at_the_server(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((Wait(),))
        waiting = asyncio.create_task(run(core))
        await fake.until(lambda server: server.active == 1)
        await core.stop(drain_s=0)
        assert await waiting == ("", Cancelled())
        await fake.until(lambda server: server.active == 0)


class TestHealth:
    async def test_start_on_nothing_says_what_and_where(self) -> None:
        async with FakeOllama(MODEL) as fake:
            host = fake.host
        core = OllamaCore(host)
        with pytest.raises(CoreError) as caught:
            await core.start()
        assert host in str(caught.value)
        assert "start it, or check its address" in str(caught.value)
        assert "\n" not in str(caught.value)

    async def test_start_on_something_else(self, fake: FakeOllama) -> None:
        fake.overrides["/api/version"] = Status(404, b"<html>nothing here</html>")
        with pytest.raises(CoreError, match=r"what answers at .* is not Ollama"):
            await OllamaCore(fake.host).start()

    async def test_start_on_silence_ends(self) -> None:
        async with silent_port() as host:
            with pytest.raises(CoreError, match="did not answer in time"):
                await OllamaCore(host, look_s=0.05).start()

    async def test_it_may_start_before_its_server(self) -> None:
        fake = FakeOllama(MODEL)
        await fake.start()
        await fake.stop()
        core = OllamaCore(fake.host, backoff=QUICK, must_answer=False, slots=2)
        await core.start()
        assert [slot.state for slot in core.slots()] == [SlotState.DOWN, SlotState.DOWN]
        assert fake.host in core.slots()[0].reason
        waiting = asyncio.create_task(states(core, "up"))
        await asyncio.sleep(0)
        await fake.start()
        await waiting
        assert isinstance((await run(core))[1], Done)
        await core.stop(drain_s=0)
        await fake.stop()

    async def test_who_listens_before_the_start_hears_it_too(self, fake: FakeOllama) -> None:
        await fake.stop()
        core = OllamaCore(fake.host, slots=1, backoff=QUICK, must_answer=False)
        events = core.events()
        await core.start()
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(events)).kind == "down"
            await fake.start()
            assert (await anext(events)).kind == "up"
            assert (await anext(events)).kind == "models"
            await core.stop(drain_s=0)
            assert [event async for event in events] == []

    async def test_down_and_up_again(self, fake: FakeOllama, core: OllamaCore) -> None:
        assert isinstance((await run(core))[1], Done)
        reported = asyncio.create_task(states(core, "down", "up"))
        await asyncio.sleep(0)
        await fake.stop()
        _, fault = await run(core, attempt(2))
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.UNREACHABLE, True)
        assert core.slots()[0].state is SlotState.DOWN
        down = await core.inspect()
        assert not down.healthy
        assert fake.host in down.detail
        await fake.start()
        assert (await reported)[0].reason == fault.reason
        assert core.slots()[0].state is SlotState.UP
        assert isinstance((await run(core, attempt(3)))[1], Done)

    async def test_a_healthy_server_is_not_polled(self, fake: FakeOllama, core: OllamaCore) -> None:
        await run(core)
        before = len(fake.requests)
        await asyncio.sleep(5 * QUICK[1])  # five times the longest pause between probes
        assert len(fake.requests) == before

    async def test_dying_in_mid_answer_is_suspect_then_down(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((Say("one"), Wait()))
        reported = asyncio.create_task(states(core, "suspect", "down", "up"))
        items = core.run(attempt(), core.slots()[0])
        assert await anext(items) == Chunk("text", "one")
        await fake.stop()
        fault = await anext(items)
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.BROKEN_STREAM, True)
        await asyncio.sleep(0)
        while core.slots()[0].state is not SlotState.DOWN:
            await asyncio.sleep(0)
        await fake.start()
        await reported

    async def test_inspect_lists_models_with_their_memory(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.models.append(EMBEDDER)
        fake.loaded = [MODEL]
        info = await core.inspect()
        assert (info.name, info.healthy, info.version, info.where) == ("ollama", True, "0.35.1", fake.host)
        loaded, idle = info.models
        assert (loaded.name, loaded.loaded, loaded.size, loaded.size_loaded) == (MODEL, True, 98_362_793, 98_362_432)
        assert (loaded.size_vram, loaded.context_length, loaded.detail) == (98_362_432, 2048, "134.52M Q4_1")
        assert loaded.expires_at == pytest.approx(1_795_361_176.788112, abs=0.001)
        assert (idle.loaded, idle.size_loaded, idle.detail) == (False, None, "134.52M Q4_1 embeddings only")

    async def test_a_model_that_stays_has_no_end(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.models = [FakeModel(MODEL, expires_at="2319-03-04T15:08:43.1234Z")]
        fake.loaded = [MODEL]
        assert (await core.inspect()).models[0].expires_at is None

    @pytest.mark.parametrize(
        ("version", "warned"),
        [("0.34.9", True), ("0.6.5", True), ("0.35.0", False), ("1.0.0", False), ("0.0.0", False), ("odd", False)],
    )
    async def test_unsafe_versions_are_named(
        self, fake: FakeOllama, core: OllamaCore, version: str, warned: bool
    ) -> None:
        fake.version = version
        info = await core.inspect()
        assert info.healthy
        assert ("remote code execution" in info.detail) is warned
