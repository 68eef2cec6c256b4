"""Generations with a scripted engine: every answer that it may give. Needs no weights."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine.cores.embedded.core import EmbeddedCore, available
from engine.cores.embedded.generation import Generation, Stream
from engine.cores.embedded.loaded_model import LoadedModel
from engine.cores.embedded.prefill_queue import PrefillQueue
from engine.cores.embedded.requests import request_of
from engine.cores.port import Attempt, Cancelled, Chunk, Done, Fault, FaultKind, Message, Outcome, Rejected, Usage
from engine.errors import CoreError
from engine.task import GenerationOptions
from tests.waiting import PATIENCE_S

USAGE = {
    "choices": [],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2},
    "timings": {"prompt_ms": 500, "predicted_ms": 250.0},
}


def delta(**content: str | None) -> dict[str, Any]:
    return {"choices": [{"finish_reason": None, "index": 0, "delta": content}]}


def finish(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"finish_reason": reason, "index": 0, "delta": {}}]}


class Saying(LoadedModel):
    """An engine that answers with given chunks, then raises `error` if there is one."""

    def __init__(self, *said: dict[str, Any], error: Exception | None = None) -> None:
        self.prefill_queue = PrefillQueue()
        self.said = said
        self.error = error

    def generate(self, request: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        for chunk in self.said:
            if on_chunk(chunk):
                return
        if self.error is not None:
            raise self.error


class Endless(LoadedModel):
    """An engine that continues until it is stopped."""

    def __init__(self) -> None:
        self.prefill_queue = PrefillQueue()
        self.stopped = threading.Event()

    def generate(self, request: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        pause = threading.Event()
        while not on_chunk(delta(content="on ")):
            pause.wait(0.001)
        self.stopped.set()


async def listen(model: LoadedModel) -> tuple[list[Chunk], Outcome]:
    *chunks, outcome = [item async for item in Stream(lambda: Generation(model, {}, "test"))]
    assert not isinstance(outcome, Chunk)
    assert all(isinstance(chunk, Chunk) for chunk in chunks)
    return [chunk for chunk in chunks if isinstance(chunk, Chunk)], outcome


async def fault(model: LoadedModel) -> Fault:
    _, outcome = await listen(model)
    assert isinstance(outcome, Fault)
    assert "\n" not in outcome.reason
    return outcome


async def test_a_whole_stream() -> None:
    said = (
        {**delta(role="assistant", content=None), "prompt_progress": {"total": 9, "cache": 0, "processed": 4}},
        delta(role="assistant", content=None),
        delta(reasoning_content="hm"),
        delta(content="A"),
        delta(content=" fox"),
        finish("length"),
        USAGE,
    )
    chunks, outcome = await listen(Saying(*said))
    assert chunks == [
        Chunk("progress", tokens=0, done=4, total=9),
        Chunk("thinking", "hm"),
        Chunk("text", "A"),
        Chunk("text", " fox"),
    ]
    assert outcome == Done("smollm2:135m", Usage(9, 2, prefill_s=0.5, decode_s=0.25), "length")


@pytest.mark.parametrize(
    "said", [(), (delta(content="A"),), (delta(content="A"), finish()), (delta(content="A"), USAGE)]
)
async def test_a_stream_without_its_end_is_a_failure(said: tuple[dict[str, Any], ...]) -> None:
    outcome = await fault(Saying(*said))
    assert (outcome.kind, outcome.retryable) == (FaultKind.BROKEN_STREAM, True)


async def test_a_chunk_that_makes_no_sense_is_told_not_swallowed() -> None:
    outcome = await fault(Saying(delta(content="A"), {"usage": {}, "timings": {}}, finish(), USAGE))
    assert (outcome.kind, outcome.retryable) == (FaultKind.INTERNAL, False)
    assert "KeyError" in outcome.reason


async def test_an_engine_that_raises_is_told() -> None:
    outcome = await fault(Saying(delta(content="A"), error=RuntimeError("out of\nluck")))
    assert outcome.kind is FaultKind.INTERNAL
    assert "out of luck" in outcome.reason


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [(400, FaultKind.BAD_REQUEST, False), (500, FaultKind.SERVER, True), (None, FaultKind.SERVER, True)],
)
async def test_refusals(code: int | None, kind: FaultKind, retryable: bool) -> None:
    outcome = await fault(Saying({"error": {"code": code, "message": "no\x1b[31m", "type": "x"}}))
    assert (outcome.kind, outcome.retryable) == (kind, retryable)
    assert "no" in outcome.reason
    assert "\x1b" not in outcome.reason


async def test_a_prompt_too_long_is_told_with_both_numbers() -> None:
    error = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 8034, "n_ctx": 4096}
    outcome = await fault(Saying({"error": error}))
    assert (outcome.kind, outcome.retryable) == (FaultKind.BAD_REQUEST, False)
    assert "8034" in outcome.reason
    assert "4096" in outcome.reason


async def test_a_stream_that_is_just_dropped_stops_the_model() -> None:
    model = Endless()
    stream = Stream(lambda: Generation(model, {}, "test"))
    assert await anext(stream) == Chunk("text", "on ")
    del stream
    gc.collect()
    assert await asyncio.to_thread(model.stopped.wait, 30)


async def test_closing_returns_when_the_model_has_stopped_even_if_cancelled_meanwhile() -> None:
    model = Endless()
    stream = Stream(lambda: Generation(model, {}, "test"))
    await anext(stream)
    closing = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing}, timeout=PATIENCE_S)
    assert closing.cancelled()
    assert model.stopped.is_set()
    assert [item async for item in stream] == []


async def test_a_generation_cancelled_before_its_thread_runs_never_reaches_the_engine() -> None:
    generation = Generation(Endless(), {}, "test")
    generation.cancel()
    while isinstance(item := await generation.next(), Chunk):
        pass
    assert item == Cancelled()
    assert await asyncio.to_thread(generation.join, 30)


def test_a_generation_outlives_its_loop_without_harm() -> None:
    model, begun = Endless(), list[Generation]()

    async def leave() -> None:
        begun.append(Generation(model, {}, "test"))
        await begun[0].next()

    asyncio.run(leave())
    assert begun[0].join(PATIENCE_S)
    assert model.stopped.is_set()
    assert begun[0].ended.is_set()


class Reading(Saying):
    """An engine that reads the prompt until it may answer or is stopped."""

    def __init__(self) -> None:
        super().__init__(delta(content="A"), finish(), USAGE)
        self.readers = 0
        self.speak = threading.Event()

    def generate(self, request: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        self.readers += 1
        progress = {**delta(content=None), "prompt_progress": {"total": 9, "cache": 0, "processed": 0}}
        while not self.speak.wait(0.001):
            if on_chunk(progress):
                return
        super().generate(request, on_chunk)


async def test_one_prompt_is_read_at_a_time_and_who_waits_can_be_cancelled() -> None:
    model = Reading()
    first = Generation(model, {}, "first")
    assert isinstance(await first.next(), Chunk)
    second, third = Generation(model, {}, "second"), Generation(model, {}, "third")
    second.cancel()
    assert await second.next() == Cancelled()
    assert model.readers == 1
    model.speak.set()
    while isinstance(item := await third.next(), Chunk):
        pass
    assert isinstance(item, Done)
    while isinstance(item := await first.next(), Chunk):
        pass
    assert isinstance(item, Done)
    assert model.readers == 2


async def test_a_reader_that_is_cancelled_lets_the_next_one_read() -> None:
    model = Reading()
    first = Generation(model, {}, "first")
    assert isinstance(await first.next(), Chunk)
    second = Generation(model, {}, "second")
    first.cancel()
    await first.wait_ended()
    assert isinstance(await second.next(), Chunk)
    second.cancel()
    await second.wait_ended()


def test_what_is_asked_of_the_engine() -> None:
    attempt = Attempt(1, 1, 1, (Message("system", "Be brief."), Message("user", "Hi")))
    request = request_of(attempt, 3)
    assert request["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (request["id_slot"], request["max_tokens"], request["temperature"]) == (3, 512, 0.2)
    assert "seed" not in request
    options = GenerationOptions(max_tokens=7, temperature=0, seed=2**40 + 5, num_ctx=99)
    request = request_of(Attempt(1, 1, 1, (), options=options), 0)
    assert (request["max_tokens"], request["temperature"]) == (7, 0)
    assert 0 <= request["seed"] < 2**32 - 1


# Without engine or weights


@pytest.mark.embedded
async def test_without_the_engine_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cores.embedded.loaded_model.find_spec", lambda _name: None)
    assert available() == "the embedded engine is not installed; run `pip install xllamacpp`"
    core = EmbeddedCore()
    with pytest.raises(CoreError, match="engine is not installed"):
        await core.start()
    info = await core.inspect()
    assert not info.healthy
    assert "not installed" in info.detail
    run = [item async for item in core.run(Attempt(1, 1, 1, (Message("user", "Hi"),)), core.slots()[0])]
    assert len(run) == 1
    assert isinstance(run[0], Rejected)


@pytest.mark.parametrize(
    ("slots", "n_ctx", "threads"), [(0, 4096, None), (1, 8193, None), (1, 255, None), (1, 4096, 0)]
)
def test_impossible_settings_are_refused(slots: int, n_ctx: int, threads: int | None) -> None:
    with pytest.raises(ValueError, match="can't have"):
        EmbeddedCore(slots=slots, n_ctx=n_ctx, threads=threads)
