"""The embedded core on the real weights: the suite of every core, and what is its own."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio

from engine.cores.embedded import weights
from engine.cores.embedded.core import EmbeddedCore
from engine.cores.embedded.loaded_model import LoadedModel
from engine.cores.port import Attempt, Cancelled, Chunk, Core, Done, Fault, FaultKind, Message, Rejected, SlotState
from engine.errors import CoreError
from engine.task import GenerationOptions
from engine.testing.conformance import PATIENCE_S, CoreConformance, Run, run_to_end
from tests.engine.cores.embedded.exit_program import LONG_READ

pytestmark = [
    pytest.mark.embedded,
]


def attempt_for(prompt: str, *, number: int = 1, **options: Any) -> Attempt:
    settings = GenerationOptions.model_validate({"max_tokens": 8, **options})
    return Attempt(task=1, round=1, number=number, messages=(Message("user", prompt),), options=settings)


SCHEMA = {"type": "object", "properties": {"legs": {"type": "integer"}}, "required": ["legs"]}


def progress(run: Run) -> list[Chunk]:
    return [chunk for chunk in run.chunks if chunk.kind == "progress"]


class TestConformance(CoreConformance):
    def make_core(self) -> Core:
        return EmbeddedCore(slots=2, n_ctx=2048)

    async def at_rest(self, core: Core) -> None:
        assert isinstance(core, EmbeddedCore)
        assert all(generation.ended.is_set() for _, generation in core._running.values())


@pytest.mark.asyncio(loop_scope="class")
class TestEmbedded:
    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    async def core(self) -> AsyncIterator[EmbeddedCore]:
        core = EmbeddedCore(n_ctx=2048)
        await core.start()
        yield core
        await core.stop(drain_s=0)

    async def test_reading_the_prompt_shows_its_progress(self, core: EmbeddedCore) -> None:
        run = await run_to_end(core, attempt_for("one two three four " * 40), core.slots()[0])
        done = run.items[-1]
        assert isinstance(done, Done)
        steps = progress(run)
        assert {step.total for step in steps} == {done.usage.tokens_in}
        read = [step.done for step in steps]
        assert read == sorted(read)
        assert read[-1] == done.usage.tokens_in
        assert len(read) > 2
        assert [chunk.kind for chunk in run.chunks[: len(steps)]] == ["progress"] * len(steps)
        assert done.usage.prefill_s > 0
        assert done.usage.decode_s > 0

    async def test_cancel_while_it_reads_the_prompt(self, core: EmbeddedCore) -> None:
        run = Run.begin(core, attempt_for(LONG_READ), core.slots()[0])
        async with asyncio.timeout(PATIENCE_S):
            while not progress(run):
                await asyncio.sleep(0.01)
        await core.cancel(run.attempt)
        assert isinstance(await run.outcome(), Cancelled)
        assert not run.text
        last = progress(run)[-1]
        assert last.done < last.total
        assert isinstance((await run_to_end(core, attempt_for("Hello"), core.slots()[0])).items[-1], Done)

    async def test_a_prompt_that_waits_behind_another_is_cancelled_while_that_is_read(self) -> None:
        core = EmbeddedCore(slots=2)
        await core.start()
        try:
            first = Run.begin(core, attempt_for(LONG_READ), core.slots()[0])
            async with asyncio.timeout(PATIENCE_S):
                while not progress(first):
                    await asyncio.sleep(0.01)
            second = Run.begin(core, attempt_for("Hello", number=2), core.slots()[1])
            await asyncio.sleep(0)
            await core.cancel(second.attempt)
            assert isinstance(await second.outcome(), Cancelled)
            assert progress(first)[-1].done < progress(first)[-1].total
        finally:
            await core.stop(drain_s=0)
        assert isinstance(await first.outcome(), Cancelled)

    async def test_a_prompt_too_long_is_told_with_both_numbers(self, core: EmbeddedCore) -> None:
        run = await run_to_end(core, attempt_for("red fox " * 3000), core.slots()[0])
        fault = run.items[-1]
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.BAD_REQUEST
        assert not fault.retryable
        assert "2048" in fault.reason
        assert "6031 tokens" in fault.reason
        assert "\n" not in fault.reason
        assert isinstance((await run_to_end(core, attempt_for("Hello"), core.slots()[0])).items[-1], Done)

    async def test_it_stops_at_max_tokens(self, core: EmbeddedCore) -> None:
        run = await run_to_end(core, attempt_for("Write a long essay about the sea.", max_tokens=5), core.slots()[0])
        done = run.items[-1]
        assert isinstance(done, Done)
        assert (done.reason, done.usage.tokens_out) == ("length", 5)
        assert len([chunk for chunk in run.chunks if chunk.kind == "text"]) == 5

    async def test_options_of_other_cores_do_no_harm(self, core: EmbeddedCore) -> None:
        asked = attempt_for("Hello", num_ctx=1_000_000, temperature=10, seed=-(2**70), keep_alive="5m", think=False)
        events = core.events()
        assert isinstance((await run_to_end(core, asked, core.slots()[0])).items[-1], Done)
        assert [(await anext(events)).reason for _ in range(2)] == [
            "core embedded ignores the option num_ctx: its context is fixed at 2048 tokens",
            "core embedded ignores the option keep_alive: its model stays in memory while the core runs",
        ]

    @pytest.mark.parametrize("format_", ["json", SCHEMA])
    async def test_the_reply_has_the_wanted_format(self, core: EmbeddedCore, format_: Any) -> None:
        asked = attempt_for("Describe a cat as JSON.", format=format_, max_tokens=48, seed=1)
        run = await run_to_end(core, asked, core.slots()[0])
        done = run.items[-1]
        assert isinstance(done, Done)
        assert run.text.lstrip()[0] in "{["
        if done.reason == "stop":
            assert isinstance(json.loads(run.text), dict)
        if format_ is SCHEMA:
            assert re.match(r'\s*\{\s*"legs"\s*:\s*\d', run.text)

    async def test_a_schema_that_the_engine_cannot_read(self, core: EmbeddedCore) -> None:
        asked = attempt_for("Hello", format={"type": "bogus"})
        refused = (await run_to_end(core, asked, core.slots()[0])).items[-1]
        assert isinstance(refused, Fault)
        assert (refused.kind, refused.retryable) == (FaultKind.BAD_REQUEST, False)
        assert "format" in refused.reason
        assert "\n" not in refused.reason
        agents = replace(asked, dispensable=frozenset({"format"}))
        assert isinstance((await run_to_end(core, agents, core.slots()[0])).items[-1], Done)

    @pytest.mark.parametrize(("option", "value"), [("think", True), ("think", "low"), ("endpoint", "raw")])
    async def test_options_that_it_cannot_honour_are_refused(
        self, core: EmbeddedCore, option: str, value: bool | str
    ) -> None:
        asked = attempt_for("Hello", **{option: value})  # type: ignore[arg-type]
        refused = (await run_to_end(core, asked, core.slots()[0])).items[-1]
        assert isinstance(refused, Fault)
        assert (refused.kind, refused.retryable) == (FaultKind.BAD_REQUEST, False)
        assert refused.reason.startswith(f"core embedded cannot honour the option {option}: ")
        agents = replace(asked, dispensable=frozenset({option}))
        assert isinstance((await run_to_end(core, agents, core.slots()[0])).items[-1], Done)

    async def test_a_stop_text_ends_the_reply(self, core: EmbeddedCore) -> None:
        whole = await run_to_end(core, attempt_for("Write about the sea.", seed=1), core.slots()[0])
        second = whole.text.split()[1]
        cut = await run_to_end(core, attempt_for("Write about the sea.", seed=1, stop=(second,)), core.slots()[0])
        done = cut.items[-1]
        assert isinstance(done, Done)
        assert done.reason == "stop"
        assert second not in cut.text
        assert whole.text.startswith(cut.text)

    @pytest.mark.parametrize("greedy", [{"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}])
    async def test_each_of_the_samplers_can_leave_one_word_to_choose(
        self, core: EmbeddedCore, greedy: dict[str, float]
    ) -> None:
        texts = set()
        for seed in (1, 2):
            asked = attempt_for("Write about the sea.", temperature=10, seed=seed, **greedy)  # type: ignore[arg-type]
            texts.add((await run_to_end(core, asked, core.slots()[0])).text)
        assert len(texts) == 1

    async def test_a_busy_slot_and_a_strange_one_are_refused(self, core: EmbeddedCore) -> None:
        slot = core.slots()[0]
        first = Run.begin(core, attempt_for("Hello"), slot)
        await first.first_text()
        second = await run_to_end(core, attempt_for("Hello", number=2), slot)
        third = await run_to_end(core, attempt_for("Hello", number=3), replace(slot, id="elsewhere/9"))
        assert isinstance(second.items[-1], Rejected)
        assert isinstance(third.items[-1], Rejected)
        assert isinstance(await first.outcome(), Done)

    async def test_inspect_tells_what_the_model_takes(self, core: EmbeddedCore) -> None:
        info = await core.inspect()
        (model,) = info.models
        assert (model.name, model.size, model.loaded, model.context_length) == (weights.MODEL, weights.SIZE, True, 2048)
        assert model.size_loaded is not None
        assert 50_000_000 < model.size_loaded < 1_000_000_000
        assert model.size_vram == 0
        assert info.version.startswith("xllamacpp ")


async def test_its_slots_and_events_follow_its_life() -> None:
    core = EmbeddedCore(slots=3)
    events = core.events()
    assert [slot.id for slot in core.slots()] == ["embedded/0", "embedded/1", "embedded/2"]
    assert {slot.state for slot in core.slots()} == {SlotState.DOWN}
    assert not (await core.inspect()).healthy
    await core.start()
    assert {slot.state for slot in core.slots()} == {SlotState.UP}
    await core.stop(drain_s=0)
    assert {slot.state for slot in core.slots()} == {SlotState.DOWN}
    assert [event.kind async for event in events] == ["up", "down"]
    with pytest.raises(CoreError, match="stopped"):
        await core.start()


async def test_a_start_that_is_cancelled_leaves_no_model_behind() -> None:
    core = EmbeddedCore()
    start = asyncio.create_task(core.start())
    await asyncio.sleep(0)
    start.cancel()
    await asyncio.wait({start}, timeout=PATIENCE_S)
    assert start.cancelled()
    assert not (await core.inspect()).healthy
    await core.stop(drain_s=0)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_nobody_else_reaches_its_listener() -> None:
    def ports() -> set[int]:
        found = psutil.Process().net_connections(kind="tcp")
        return {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}

    before = ports()
    model = LoadedModel(weights.find(), slots=1, n_ctx=256, threads=1)
    try:
        assert ports() == before
        path = Path(model.address.removeprefix("unix://"))
        assert path.is_absolute()
        assert not path.parent.exists()  # so nothing is left behind either, whatever becomes of the process
    finally:
        model.close()


async def test_its_listener_without_unix_sockets_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cores.embedded.loaded_model._LONGEST_SOCKET_PATH", 0)
    model = await asyncio.to_thread(LoadedModel, weights.find(), slots=1, n_ctx=256, threads=1)
    try:
        async with httpx.AsyncClient(base_url=model.address, trust_env=False) as client:
            answer = await client.post("/v1/chat/completions", json={"messages": []})
            assert answer.status_code == 401
            assert (await client.get("/slots")).status_code == 401
    finally:
        model.close()


async def test_weights_that_the_engine_refuses_are_named(tmp_path: Path) -> None:
    damaged = tmp_path / "model.gguf"
    with damaged.open("wb") as file:
        file.write(weights.MAGIC)
        file.truncate(weights.SIZE)
    core = EmbeddedCore(weights=damaged)
    with pytest.raises(CoreError, match=r"cannot load the weights .*model\.gguf .*; run `aios-tui models fetch`$"):
        await core.start()
    assert not (await core.inspect()).healthy
    await core.stop(drain_s=0)


def test_closing_right_after_loading_does_not_hang() -> None:
    """In a process of its own: the engine's loop, when it was not heard of yet, hung with Python's lock in hand."""
    code = (
        "from engine.cores.embedded import weights\n"
        "from engine.cores.embedded.loaded_model import LoadedModel\n"
        "for _ in range(6): LoadedModel(weights.find(), slots=1, n_ctx=256, threads=1).close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[4],
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0
