"""The conformance suite: what the kernel relies on in every core, whatever executes behind the port.

A plug-in's tests use it as the tests of the built-in cores do (`docs/cores.md` has the whole recipe):

    from engine.testing.conformance import CoreConformance

    class TestMyCore(CoreConformance):
        def make_core(self) -> Core:
            return MyCore(...)

Override `short`, `long` and `at_rest` where the defaults do not fit. It needs pytest and pytest-asyncio. The core
under test is started once a class and shared by its tests, all in one event loop.
"""

# ruff: noqa: S101  (asserts are what a suite is made of)

from __future__ import annotations

import asyncio
import gc
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from engine.cores.port import (
    Attempt,
    Cancelled,
    Chunk,
    Core,
    CoreInfo,
    Done,
    Fault,
    FaultKind,
    Message,
    Outcome,
    Rejected,
    Slot,
    SlotEvent,
)
from engine.task import GenerationOptions

PATIENCE_S = 120.0
"""Seconds after which anything counts as hung: sized for 8 tokens/s on a busy machine, never a speed limit."""

_numbers = count(1)


@dataclass(slots=True)
class Run:
    """One attempt, consumed in a task of its own, as the kernel does it."""

    attempt: Attempt
    iterator: AsyncIterator[Chunk | Outcome]
    items: list[Chunk | Outcome] = field(default_factory=list)
    streaming: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @classmethod
    def begin(cls, core: Core, attempt: Attempt, slot: Slot) -> Run:
        run = cls(attempt, core.run(attempt, slot))
        run.task = asyncio.create_task(run._consume())
        return run

    async def _consume(self) -> None:
        try:
            async for item in self.iterator:
                self.items.append(item)
                if isinstance(item, Chunk) and item.kind == "text":
                    self.streaming.set()
        finally:
            await close(self.iterator)

    async def first_text(self) -> None:
        """Wait until the model has said something; fail if it ends before."""
        assert self.task is not None
        waiter = asyncio.ensure_future(self.streaming.wait())
        await asyncio.wait({waiter, self.task}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        assert self.streaming.is_set(), f"no text came: {self.items}"

    async def outcome(self) -> Outcome:
        """Wait for the end and check its form: chunks, then exactly one outcome, last."""
        assert self.task is not None
        await asyncio.wait_for(self.task, PATIENCE_S)
        outcomes = [item for item in self.items if not isinstance(item, Chunk)]
        assert len(outcomes) == 1, f"not exactly one outcome: {self.items}"
        assert self.items[-1] is outcomes[0], f"something came after the outcome: {self.items}"
        return outcomes[0]

    @property
    def chunks(self) -> list[Chunk]:
        return [item for item in self.items if isinstance(item, Chunk)]

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks if chunk.kind == "text")


async def close(iterator: AsyncIterator[Any]) -> None:
    """Close what `run` or `events` returned, as a caller that leaves early does."""
    aclose = getattr(iterator, "aclose", None)
    assert aclose is not None, "the iterator can't be closed early"
    await asyncio.wait_for(aclose(), PATIENCE_S)


async def run_to_end(core: Core, attempt: Attempt, slot: Slot) -> Run:
    """Run an attempt to its end; the outcome is `items[-1]`."""
    run = Run.begin(core, attempt, slot)
    await run.outcome()
    return run


@pytest.mark.asyncio(loop_scope="class")
class CoreConformance(ABC):
    """Subclass and give `make_core`. A test that fails here is a bug in the core, or a promise the port should drop."""

    unknown_model = "no-such-model:1b"

    @abstractmethod
    def make_core(self) -> Core:
        """A new core, not started. Anything around it (a fake server) is the subclass's to set up and take down."""

    def short(self) -> Attempt:
        """An attempt that ends by itself after a few tokens."""
        return self._attempt("Say hello.", max_tokens=8)

    def long(self) -> Attempt:
        """An attempt that lasts far longer than a test waits between two steps: hundreds of tokens."""
        return self._attempt("Write a long essay about the history of the sea.", max_tokens=1500)

    async def at_rest(self, core: Core) -> None:
        """Return when nothing generates any more *at the model*, fail if that never comes. Override to look there."""
        assert core.slots()

    def _attempt(self, prompt: str, *, max_tokens: int, model: str | None = None) -> Attempt:
        return Attempt(
            task=next(_numbers),
            round=1,
            number=1,
            messages=(Message("user", prompt),),
            model=model,
            options=GenerationOptions(max_tokens=max_tokens, seed=7),
        )

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    async def core(self, request: pytest.FixtureRequest) -> AsyncIterator[Core]:
        suite: CoreConformance = request.cls()
        core = suite.make_core()
        await core.start()
        yield core
        await core.stop(drain_s=0)

    @pytest_asyncio.fixture(loop_scope="class", autouse=True)
    async def _leaves_nothing_behind(self) -> AsyncIterator[None]:
        """No task of a test outlives it, and the loop has nothing to complain about."""
        loop, complaints = asyncio.get_running_loop(), list[dict[str, Any]]()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        before = asyncio.all_tasks()
        yield
        async with asyncio.timeout(PATIENCE_S):
            while left := [t for t in asyncio.all_tasks() - before if t is not asyncio.current_task()]:
                await asyncio.wait(left, timeout=PATIENCE_S)
        gc.collect()
        await asyncio.sleep(0)
        loop.set_exception_handler(None)
        assert not complaints, complaints

    # What a run is

    async def test_a_run_is_chunks_and_then_one_outcome(self, core: Core) -> None:
        attempt = self.short()
        run = await run_to_end(core, attempt, core.slots()[0])
        done = run.items[-1]
        assert isinstance(done, Done), done
        assert run.text.strip()
        assert done.reason in ("stop", "length")
        assert all(not chunk.text for chunk in run.chunks if chunk.kind == "progress")
        assert done.model == (await core.inspect()).default_model

    async def test_usage_counts_what_was_streamed(self, core: Core) -> None:
        attempt = self.short()
        run = await run_to_end(core, attempt, core.slots()[0])
        done = run.items[-1]
        assert isinstance(done, Done), done
        usage, limit = done.usage, attempt.options.max_tokens or 0
        streamed = sum(chunk.tokens for chunk in run.chunks if chunk.kind != "progress")
        assert usage.tokens_in > 0
        assert 0 < usage.tokens_out <= limit
        assert abs(usage.tokens_out - streamed) <= 2, (usage, streamed)  # an end token; a character over two tokens
        assert usage.prefill_s >= 0
        assert usage.decode_s >= 0
        assert usage.load_s >= 0

    async def test_the_default_model_may_be_named(self, core: Core) -> None:
        default = (await core.inspect()).default_model
        run = await run_to_end(core, replace(self.short(), model=default), core.slots()[0])
        done = run.items[-1]
        assert isinstance(done, Done), done
        assert done.model == default

    async def test_an_unknown_model_is_named_in_one_line(self, core: Core) -> None:
        run = await run_to_end(core, replace(self.short(), model=self.unknown_model), core.slots()[0])
        fault = run.items[-1]
        assert isinstance(fault, Fault), fault
        assert fault.kind is FaultKind.NO_MODEL
        assert not fault.retryable
        assert fault.model == self.unknown_model
        assert self.unknown_model in fault.reason
        assert "\n" not in fault.reason
        assert not run.text

    async def test_a_format_is_met_or_refused(self, core: Core) -> None:
        attempt = self.short()
        options = attempt.options.model_copy(update={"format": "json", "max_tokens": 48})
        run = await run_to_end(core, replace(attempt, options=options), core.slots()[0])
        outcome = run.items[-1]
        if isinstance(outcome, Done):
            assert run.text.lstrip()[0] in "{[", run.text
            if outcome.reason == "stop":
                json.loads(run.text)
        else:
            assert isinstance(outcome, Fault), outcome
            assert (outcome.kind, outcome.retryable) == (FaultKind.BAD_REQUEST, False)
            assert "format" in outcome.reason
            assert "\n" not in outcome.reason
        wish = replace(attempt, options=options, dispensable=frozenset({"format"}))
        assert isinstance((await run_to_end(core, wish, core.slots()[0])).items[-1], Done)

    # Stopping one

    async def test_cancel_in_the_middle_stops_and_frees_the_slot(self, core: Core) -> None:
        slot = core.slots()[0]
        run = Run.begin(core, self.long(), slot)
        await run.first_text()
        await asyncio.wait_for(core.cancel(run.attempt), PATIENCE_S)
        assert isinstance(await run.outcome(), Cancelled)
        again = await run_to_end(core, self.short(), slot)
        assert isinstance(again.items[-1], Done)
        await self.at_rest(core)

    async def test_cancel_right_after_the_start(self, core: Core) -> None:
        slot = core.slots()[0]
        run = Run.begin(core, self.long(), slot)
        await asyncio.sleep(0)  # let the run begin
        await asyncio.wait_for(core.cancel(run.attempt), PATIENCE_S)
        assert isinstance(await run.outcome(), Cancelled)
        await self.at_rest(core)
        assert isinstance((await run_to_end(core, self.short(), slot)).items[-1], Done)

    async def test_cancel_twice_is_cancel_once(self, core: Core) -> None:
        run = Run.begin(core, self.long(), core.slots()[0])
        await run.first_text()
        await asyncio.wait_for(asyncio.gather(core.cancel(run.attempt), core.cancel(run.attempt)), PATIENCE_S)
        assert isinstance(await run.outcome(), Cancelled)
        await core.cancel(run.attempt)
        await self.at_rest(core)

    async def test_cancel_of_unknown_and_ended_attempts_is_nothing(self, core: Core) -> None:
        await core.cancel(self.short())
        slot, attempt = core.slots()[0], self.short()
        first = await run_to_end(core, attempt, slot)
        assert isinstance(first.items[-1], Done)
        await core.cancel(attempt)
        run = Run.begin(core, replace(attempt, number=2), slot)  # a later try at the same syscall
        await core.cancel(attempt)
        assert isinstance(await run.outcome(), Done)

    async def test_closing_the_iterator_stops_the_model(self, core: Core) -> None:
        slot = core.slots()[0]
        iterator = core.run(self.long(), slot)
        async with asyncio.timeout(PATIENCE_S):
            async for item in iterator:
                if isinstance(item, Chunk) and item.kind == "text":
                    break
        await close(iterator)
        await self.at_rest(core)
        assert isinstance((await run_to_end(core, self.short(), slot)).items[-1], Done)

    async def test_cancelling_the_caller_stops_the_model(self, core: Core) -> None:
        slot = core.slots()[0]
        run = Run.begin(core, self.long(), slot)
        await run.first_text()
        assert run.task is not None
        run.task.cancel()
        done, _ = await asyncio.wait({run.task}, timeout=PATIENCE_S)
        assert run.task in done
        assert run.task.cancelled()
        await self.at_rest(core)
        assert isinstance((await run_to_end(core, self.short(), slot)).items[-1], Done)

    async def test_a_run_that_is_never_begun_holds_nothing(self, core: Core) -> None:
        slot = core.slots()[0]
        await close(core.run(self.long(), slot))
        await self.at_rest(core)
        assert isinstance((await run_to_end(core, self.short(), slot)).items[-1], Done)

    # Slots

    async def test_slots_are_stable_and_unique(self, core: Core) -> None:
        before = [slot.id for slot in core.slots()]
        await run_to_end(core, self.short(), core.slots()[-1])
        assert before
        assert len(set(before)) == len(before)
        assert [slot.id for slot in core.slots()] == before
        assert {slot.core for slot in core.slots()} == {core.name}

    async def test_all_slots_at_once(self, core: Core) -> None:
        runs = [Run.begin(core, self.short(), slot) for slot in core.slots()]
        outcomes = [await run.outcome() for run in runs]
        assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
        assert all(run.text.strip() for run in runs)

    async def test_cancelling_one_slot_leaves_the_others(self, core: Core) -> None:
        if len(core.slots()) < 2:
            pytest.skip("a core of one slot")
        first, second = core.slots()[:2]
        doomed, spared = Run.begin(core, self.long(), first), Run.begin(core, self.short(), second)
        await doomed.first_text()
        await core.cancel(doomed.attempt)
        assert isinstance(await doomed.outcome(), Cancelled)
        assert isinstance(await spared.outcome(), Done)

    # Looking at it

    async def test_inspect_tells_of_models_and_health(self, core: Core) -> None:
        info = await core.inspect()
        assert info.name == core.name
        assert info.healthy, info.detail
        assert info.default_model in [model.name for model in info.models]
        assert self.unknown_model not in [model.name for model in info.models]

    # The end of it

    async def test_a_stopped_core_stays_calm(self) -> None:
        core = self.make_core()
        await core.start()
        events = core.events()
        listener = asyncio.create_task(_collect(events))
        assert isinstance((await run_to_end(core, self.short(), core.slots()[0])).items[-1], Done)
        await asyncio.wait_for(core.stop(drain_s=0), PATIENCE_S)
        await asyncio.wait_for(core.stop(drain_s=0), PATIENCE_S)
        await asyncio.wait_for(listener, PATIENCE_S)
        await asyncio.wait_for(_collect(core.events()), PATIENCE_S)
        info = await core.inspect()
        assert isinstance(info, CoreInfo)
        assert info.name == core.name
        assert core.slots()
        late = await run_to_end(core, self.short(), core.slots()[0])
        assert isinstance(late.items[-1], Fault | Rejected), late.items
        await core.cancel(late.attempt)

    async def test_stop_cancels_what_runs(self) -> None:
        core = self.make_core()
        await core.start()
        run = Run.begin(core, self.long(), core.slots()[0])
        await run.first_text()
        await asyncio.wait_for(core.stop(drain_s=0), PATIENCE_S)
        assert isinstance(await run.outcome(), Cancelled)

    async def test_stop_lets_what_runs_finish_while_there_is_time(self) -> None:
        core = self.make_core()
        await core.start()
        run = Run.begin(core, self.short(), core.slots()[0])
        await run.first_text()
        await asyncio.wait_for(core.stop(drain_s=PATIENCE_S), PATIENCE_S)
        assert isinstance(await run.outcome(), Done)

    async def test_it_can_be_inspected_before_it_is_started(self) -> None:
        core = self.make_core()
        info = await asyncio.wait_for(core.inspect(), PATIENCE_S)
        assert (info.name, bool(core.slots())) == (core.name, True)
        await asyncio.wait_for(core.stop(drain_s=0), PATIENCE_S)

    async def test_stop_before_start_is_nothing(self) -> None:
        core = self.make_core()
        await asyncio.wait_for(core.stop(drain_s=0), PATIENCE_S)


async def _collect(events: AsyncIterator[SlotEvent]) -> list[SlotEvent]:
    return [event async for event in events]
