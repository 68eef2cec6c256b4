"""The benchmark's figures, exactly, and the number of streams that a server ran at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aios_tui.reporting.bench_results import BenchResult, keep, newest, read
from engine.benchmark import BenchReply, Work, level, load_time, measure, overlap, warm_up
from engine.cores.ollama.core import OllamaCore
from engine.cores.port import Attempt, Chunk, Done, Fault, FaultKind, Outcome, Slot, Usage
from engine.cores.scripted import ScriptedCore, ScriptedOptions
from engine.errors import CoreError, UsageError
from engine.replay.service_model import Rates
from tests.engine.cores.ollama.fake_server import FakeOllama

WORK = Work("m", tokens=6, prompt_tokens=20, runs=2)


class Server(ScriptedCore):
    """Takes any number of requests and runs so many at a time, as a model server does."""

    def __init__(self, at_a_time: int) -> None:
        super().__init__(ScriptedOptions(slots=16, model="m"))
        self._free = asyncio.Semaphore(at_a_time)
        self.prompts: list[str] = []
        self.cancelled = 0

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        self.prompts.append(attempt.messages[-1].content)
        async with self._free:
            try:
                for _ in range(attempt.options.max_tokens or 1):
                    await asyncio.sleep(0)
                    yield Chunk("text", "word ")
                yield Done("m", Usage(tokens_in=100, tokens_out=attempt.options.max_tokens or 1))
            except (asyncio.CancelledError, GeneratorExit):
                self.cancelled += 1
                raise


class Faulty(Server):
    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        yield Chunk("text", "word ")
        yield Fault(FaultKind.BUSY, "the queue is full", retryable=True)


class Silent(Server):
    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        await asyncio.Event().wait()
        yield Chunk("text", "never")


def reply(begun: float, first: float, last: float, *, tokens: int = 11, prompt: int = 100) -> BenchReply:
    return BenchReply(begun, first, last, last + 0.5, prompt, tokens)


def test_the_figures_are_what_the_moments_say() -> None:
    found = level(2, [[reply(0, 1, 3), reply(0, 2, 6)], [reply(10, 11, 15), reply(10, 14, 20)]])
    assert (found.streams, found.runs) == (2, 2)
    assert (found.ttft_s.median, found.ttft_s.low, found.ttft_s.high) == (1.5, 1, 4)
    assert (found.tpot_s.low, found.tpot_s.high) == (0.2, 0.6)
    assert found.tpot_s.median == 0.4  # (0.2, 0.4, 0.4, 0.6)
    assert (found.stream_tps.low, found.stream_tps.high) == (1 / 0.6, 5)
    assert (found.total_tps.low, found.total_tps.high) == (22 / 10.5, 22 / 6.5)
    assert (found.prompt_tps.low, found.prompt_tps.high) == (25, 100)
    assert (found.tokens_in, found.tokens_out, found.at_once) == (100, 11, 2)


def test_streams_that_follow_each_other_do_not_overlap() -> None:
    assert overlap([reply(0, 1, 2), reply(0, 2, 3), reply(0, 3, 4)]) == 1
    assert overlap([reply(0, 1, 4), reply(0, 2, 3), reply(0, 3.5, 5)]) == 2
    assert overlap([]) == 0


def test_replies_of_one_token_measure_nothing() -> None:
    with pytest.raises(CoreError, match="too short"):
        level(1, [[reply(0, 1, 1, tokens=1)]])


@pytest.mark.parametrize("at_a_time", [1, 2, 4])
async def test_what_a_server_runs_at_a_time_is_seen(at_a_time: int) -> None:
    server = Server(at_a_time)
    batches = [batch async for batch in measure(server, 4, WORK)]
    assert [len(batch) for batch in batches] == [4, 4]
    assert level(4, batches).at_once == at_a_time
    assert level(4, batches).tokens_out == 6


async def test_no_prompt_has_the_beginning_of_another() -> None:
    server = Server(4)
    await warm_up(server, WORK)
    _ = [batch async for batch in measure(server, 4, WORK)]
    assert len({prompt[:8] for prompt in server.prompts}) == 9


async def test_a_fault_ends_it_with_its_reason_and_stops_the_others() -> None:
    with pytest.raises(CoreError, match="the queue is full"):
        _ = [batch async for batch in measure(Faulty(4), 3, WORK)]


async def test_a_core_that_says_nothing_is_not_waited_for_for_ever() -> None:
    work = Work("m", runs=1, first_token_s=0.05)
    with pytest.raises(CoreError, match=r"no token within 0\.05 s"):
        _ = [batch async for batch in measure(Silent(1), 2, work)]


async def test_the_load_is_that_of_a_model_that_was_taken_out_of_memory() -> None:
    async with FakeOllama("red:1b", loaded=["red:1b"]) as fake:
        core = OllamaCore(fake.host)
        await core.start()
        took = await load_time(core, "red:1b")
        await core.stop(drain_s=0)
        lifetimes = [request.body.get("keep_alive") for request in fake.requests if request.path == "/api/generate"]
    assert took is not None and took >= 0
    assert lifetimes[0] == 0 and len(lifetimes) == 2
    assert await load_time(Server(1), "m") is None


def bench(core: str, model: str, at: float, *, tps: float = 50.0) -> BenchResult:
    levels = [
        level(n, [[reply(0, 1, 1 + 10 * n / tps)] * n]) for n in (1, 2, 4)
    ]  # 11 tokens: 10 after the first, tps / n of them a second; 100 of the prompt in a second
    return BenchResult(at=at, core=core, kind="ollama", model=model, load_s=2.5, levels=tuple(levels))


def test_results_are_kept_by_core_and_model_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "bench.json"
    assert read(path) == []
    for each in (bench("den", "red", 1), bench("den", "blue", 2), bench("attic", "red", 3), bench("den", "red", 4)):
        keep(path, each)
    assert [(each.core, each.model, each.at) for each in read(path)] == [
        ("den", "red", 4),
        ("attic", "red", 3),
        ("den", "blue", 2),
    ]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_rates_are_those_of_the_level_that_fits() -> None:
    known = [bench("den", "red", 4, tps=80), bench("attic", "red", 3, tps=20), bench("den", "blue", 2, tps=40)]
    used = newest(known, None)
    assert {model: each.rates(2) for model, each in used.items()} == {
        "red": Rates(100.0, 40.0),
        "blue": Rates(100.0, 20.0),
    }
    assert [(each.core, each.model) for each in used.values()] == [("den", "red"), ("den", "blue")]
    red = newest(known, "attic")["red"]
    assert red.rates(1) == Rates(100.0, 20.0)
    assert red.rates(3) == Rates(100.0, 10.0)  # measured at 2, not at 3
    assert red.rates(64) == Rates(100.0, 5.0)


def test_what_was_never_measured_is_said() -> None:
    with pytest.raises(UsageError, match="there is no benchmark yet"):
        newest([], None)
    with pytest.raises(UsageError, match="core shed has no benchmark; there are den"):
        newest([bench("den", "red", 1)], "shed")


def test_a_damaged_file_is_one_line_and_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text('{"version": 1, "cores": {"den": 3}}')
    with pytest.raises(UsageError, match=r"bench\.json: cores\.den"):
        read(path)
    keep(path, bench("den", "red", 1))
    assert len(read(path)) == 1
    assert (tmp_path / "bench.json.bad").read_text().endswith('"den": 3}}')
