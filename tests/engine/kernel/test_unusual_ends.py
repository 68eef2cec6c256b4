"""Agents and cores that do what no agent and no core should: each task still ends, and each slot comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import Attempt, Chunk, Done, Fault, FaultKind, Outcome, Slot
from engine.events import AttemptEnded, TaskEnded
from engine.kernel import KernelConfig
from engine.task import AttemptState, TaskSpec, TaskState
from tests.engine.kernel.helpers import QUICK, CodeAgent, GateCore, Trace, begin, idle, make_kernel, within


class OddError(BaseException):
    """No `Exception`, so that `except Exception` lets it pass."""


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class RaisingCore(GateCore):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        yield Chunk("text", "so far ")
        raise self.error


class LingeringCore(GateCore):
    """Goes on after its outcome."""

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        yield Chunk("text", "all")
        yield Done("gate")
        await asyncio.Event().wait()


@pytest.mark.parametrize(("error", "says"), [(OddError("odd"), "OddError: odd"), (MuteError(), "MuteError")])
async def test_any_exception_of_an_agent_ends_its_task(error: BaseException, says: str) -> None:
    async def bad(ctx: AgentContext) -> str:
        raise error

    kernel = make_kernel(GateCore(), agents=[CodeAgent("bad", bad)])
    await kernel.start()
    task = await kernel.submit(TaskSpec(prompt="p", agent="bad"))
    final = await within(kernel.wait(task))
    assert (final.state, final.error) == (TaskState.FAILED, f"agent bad: {says}")
    assert idle(kernel)
    await kernel.stop()


@pytest.mark.parametrize("error", [OddError("odd"), MuteError(), SystemExit(4)])
async def test_any_exception_of_a_core_ends_its_attempt(error: BaseException) -> None:
    store = Trace()
    kernel = make_kernel(RaisingCore(error), store=store)
    await kernel.start()
    final = await within(kernel.wait(await kernel.submit(TaskSpec(prompt="p"))))
    assert final.state is TaskState.FAILED
    assert final.error is not None and type(error).__name__ in final.error
    [ended] = store.attempts()
    assert (ended.state, ended.fault, ended.reply) == (AttemptState.FAILED, FaultKind.INTERNAL, "so far ")
    assert idle(kernel)
    await kernel.stop()


async def test_a_core_that_goes_on_after_its_outcome_is_not_waited_for() -> None:
    kernel = make_kernel(LingeringCore())
    await kernel.start()
    final = await within(kernel.wait(await kernel.submit(TaskSpec(prompt="p"))))
    assert (final.state, final.result, final.attempts) == (TaskState.DONE, "all", 1)
    assert idle(kernel)
    await kernel.stop()


async def test_cancelling_twice_does_not_free_a_slot_whose_model_is_still_at_it() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store, config=KernelConfig(stop_grace_s=30))
    core.stubborn = True
    task, running = await begin(kernel, core)
    waiting = await kernel.submit(TaskSpec(prompt="next"))
    cancels = []
    for _ in range(3):
        cancels.append(asyncio.create_task(kernel.cancel(task)))
        for _ in range(5):
            await asyncio.sleep(0)
    assert not running.stopped
    assert not kernel.slots["gate/0"].free
    core.stubborn = False
    core.let_go.set()
    assert await asyncio.gather(*cancels) == [True, True, True]
    assert len([event for event in store.events if isinstance(event, TaskEnded)]) == 1
    (await core.next()).end()
    assert (await kernel.wait(waiting)).state is TaskState.DONE
    await kernel.stop()


async def test_rounds_that_an_agent_did_not_wait_for_are_stopped_at_the_model() -> None:
    async def hasty(ctx: AgentContext) -> str:
        await asyncio.gather(ctx.llm("one"), ctx.llm("two"), ctx.llm("three"))
        return "never"

    core, store = GateCore(2), Trace()
    kernel = make_kernel(core, store=store, agents=[CodeAgent("hasty", hasty)])
    await kernel.start()
    task = await kernel.submit(TaskSpec(prompt="p", agent="hasty"))
    first, second = await core.next(), await core.next()
    first.end(Fault(FaultKind.BAD_REQUEST, "no", retryable=False))
    final = await within(kernel.wait(task))
    assert (final.state, final.error) == (TaskState.FAILED, "no")
    assert second.stopped and not core.running
    assert len(store.attempts()) == final.attempts
    kinds = [type(event) for event in store.events]
    assert kinds.index(TaskEnded) > max(at for at, kind in enumerate(kinds) if kind is AttemptEnded)
    assert idle(kernel) and not kernel.dispatcher.ready()
    await kernel.stop()


async def test_a_lost_attempt_that_stops_after_all_gives_its_slot_back() -> None:
    core = GateCore()
    kernel = make_kernel(core, config=QUICK)
    core.stubborn = True
    task, _ = await begin(kernel, core)
    assert await kernel.cancel(task)
    place = kernel.slots["gate/0"]
    assert place.slot.state == "suspect"
    waiting = await kernel.submit(TaskSpec(prompt="next"))
    core.stubborn = False
    core.let_go.set()
    (await core.next()).end()
    assert (await kernel.wait(waiting)).state is TaskState.DONE
    assert kernel.slots["gate/0"].slot.state == "up"
    await kernel.stop()
