"""Acceptance and ends of tasks: durable before anyone learns of them, and each end has its reason."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import Done, Usage
from engine.errors import StoreError, UsageError
from engine.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Notice,
    TaskAccepted,
    TaskEnded,
    TaskRecovered,
)
from engine.kernel import SyscallFailed
from engine.task import Task, TaskSpec, TaskState
from tests.engine.kernel.helpers import (
    REFUSED,
    CodeAgent,
    GateCore,
    Trace,
    begin,
    idle,
    make_kernel,
    seen,
    within,
)


async def test_a_result_with_its_measures() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    running.say("Hello, ")
    running.say("world.")
    running.end(Done("gate-7b", Usage(tokens_in=3, tokens_out=4, decode_s=2.0)))
    final = await kernel.wait(task)
    assert (final.state, final.result, final.error) == (TaskState.DONE, "Hello, world.", None)
    assert (final.core, final.model, final.rounds, final.attempts) == ("gate", "gate-7b", 1, 1)
    assert (final.tokens_in, final.tokens_out, final.decode_s) == (3, 4, 2.0)
    assert final.started_at is not None and final.ended_at is not None and final.ttft_s is not None
    assert final.submitted_at <= final.started_at <= final.started_at + final.ttft_s <= final.ended_at
    assert 0 < final.service_s <= final.ended_at - final.started_at
    assert idle(kernel)
    assert [type(event).__name__ for event in store.events] == [
        "PolicyChanged",
        "TaskAccepted",
        "TaskStarted",
        "AttemptStarted",
        "AttemptEnded",
        "TaskEnded",
    ]
    await kernel.stop()


async def test_the_end_is_durable_before_anyone_hears_of_it() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    subscription = kernel.subscribe()
    store.free.clear()
    running.end()
    await seen(subscription, AttemptEnded)
    waiting = asyncio.create_task(kernel.wait(task))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert not any(isinstance(event, TaskEnded) for event in subscription.drain())
    assert not await kernel.cancel(task), "too late to cancel"
    store.free.set()
    assert (await waiting).state is TaskState.DONE
    await kernel.stop()


async def test_the_slot_serves_the_next_task_while_an_end_is_written() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    ids = await kernel.submit_many([TaskSpec(prompt="a"), TaskSpec(prompt="b")])
    store.free.clear()
    (await core.next()).end()
    assert (await core.next()).attempt.task == ids[1]
    store.free.set()
    await kernel.stop()


async def test_a_task_is_accepted_only_when_it_is_durable() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    store.fails = StoreError("disk full")
    with pytest.raises(StoreError, match="disk full"):
        await kernel.submit(TaskSpec(prompt="p"))
    assert kernel.queued_count == kernel.running_count == 0
    await kernel.stop()


async def test_a_caller_that_goes_away_leaves_its_task_accepted() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    store.free.clear()
    submitting = asyncio.create_task(kernel.submit(TaskSpec(prompt="p")))
    await asyncio.sleep(0)
    submitting.cancel()
    await asyncio.sleep(0)
    store.free.set()
    assert (await core.next()).attempt.messages[-1].content == "p"
    assert len(store.of(TaskAccepted)) == 1
    await kernel.stop()


async def test_an_unknown_agent_is_refused_before_anything_is_kept() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    with pytest.raises(UsageError, match="story_teler"):
        await kernel.submit_many([TaskSpec(prompt="fine"), TaskSpec(prompt="p", agent="story_teler")])
    assert store.of(TaskAccepted) == []
    await kernel.stop()


@pytest.mark.parametrize("error", [ValueError("bad\nthing"), SystemExit(3), KeyError("x")])
async def test_an_exception_in_an_agent_fails_its_task_only(error: BaseException) -> None:
    core = GateCore()

    async def breaks(ctx: AgentContext) -> str:
        await ctx.llm("one")
        raise error

    kernel = make_kernel(core, agents=[CodeAgent("breaks", breaks)])
    task, running = await begin(kernel, core, agent="breaks")
    running.end()
    final = await kernel.wait(task)
    assert final.state is TaskState.FAILED
    assert final.error is not None and final.error.startswith("agent breaks: ") and "\n" not in final.error
    other = await kernel.submit(TaskSpec(prompt="p"))
    (await core.next()).end()
    assert (await kernel.wait(other)).state is TaskState.DONE
    await kernel.stop()


async def test_an_agent_that_ends_without_a_round() -> None:
    core = GateCore()

    async def knows(ctx: AgentContext) -> str:
        return "42"

    kernel = make_kernel(core, agents=[CodeAgent("knows", knows)])
    await kernel.start()
    task = await kernel.submit(TaskSpec(prompt="p", agent="knows"))
    final = await kernel.wait(task)
    assert (final.result, final.rounds, final.attempts) == ("42", 0, 0)
    assert idle(kernel)
    await kernel.stop()


async def test_what_an_earlier_run_left_is_taken_up_in_its_old_order() -> None:
    core, store = GateCore(), Trace()
    store.left = (
        Task(3, TaskSpec(prompt="old", priority=7), 100.0, 7, interruptions=1),
        Task(4, TaskSpec(prompt="gone", agent="no_longer_there"), 101.0, 5),
        Task(5, TaskSpec(prompt="urgent", priority=0), 102.0, 0, retry_of=2),
    )
    kernel = make_kernel(core, store=store, policy="npps")
    subscription = kernel.subscribe()
    await kernel.start()
    first = await core.next()
    known = {event.task: event for event in kernel.snapshot() if isinstance(event, TaskRecovered)}
    assert (known[3].interrupted, known[3].retry_of) == (True, None)
    assert (known[5].interrupted, known[5].retry_of) == (False, 2)
    assert first.attempt.task == 5
    first.end()
    last = await core.next()
    assert last.attempt.task == 3
    last.end()
    gone = await kernel.wait(4)
    assert gone.state is TaskState.FAILED
    assert gone.error is not None and "no_longer_there" in gone.error
    recovered = [event for event in subscription.drain() if isinstance(event, TaskRecovered)]
    found = [(event.task, event.interrupted, event.retry_of) for event in recovered]
    assert found == [(3, True, None), (4, False, None), (5, False, 2)]
    await kernel.stop()


async def test_an_error_of_an_agent_has_no_fault() -> None:
    core = GateCore()

    async def recovers(ctx: AgentContext) -> str:
        with contextlib.suppress(SyscallFailed):
            await ctx.llm("risky")
        raise UsageError("something else")

    kernel = make_kernel(core, agents=[CodeAgent("recovers", recovers)])
    task, running = await begin(kernel, core, agent="recovers")
    running.end(REFUSED)
    final = await within(kernel.wait(task))
    assert (final.error, final.fault) == ("something else", None)
    await kernel.stop()


async def test_retry_submits_an_ended_task_again() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    with pytest.raises(UsageError, match="has not ended"):
        await kernel.retry(task)
    with pytest.raises(UsageError, match="no task 77"):
        await kernel.retry(77)
    running.end(REFUSED)
    await kernel.wait(task)
    again = await kernel.retry(task)
    assert again != task
    (await core.next()).end()
    final = await kernel.wait(again)
    assert (final.state, final.retry_of, final.spec.prompt) == (TaskState.DONE, task, "p")
    await kernel.stop()


async def test_while_the_history_can_not_be_written_nothing_more_is_dispatched() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    subscription = kernel.subscribe()
    store.report("disk full: free some space")
    task = await kernel.submit(TaskSpec(prompt="p"))
    [notice] = await seen(subscription, Notice)
    assert isinstance(notice, Notice) and "disk full" in notice.text
    assert kernel.queued_count == 1
    store.report(None)
    (await core.next()).end()
    assert (await kernel.wait(task)).state is TaskState.DONE
    await kernel.stop()


async def test_a_reader_that_falls_behind_is_told() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    slow, fast = kernel.subscribe(capacity=10), kernel.subscribe()
    await kernel.submit_many([TaskSpec(prompt=f"p{n}") for n in range(50)])
    await core.next()
    assert [slow.lost, fast.lost] == [True, False]
    slow.drain()
    assert [slow.lost] == [False]
    accepted = [event for event in fast.drain() if isinstance(event, TaskAccepted)]
    assert len(accepted) == 50
    await kernel.stop()
    assert slow.closed and fast.closed
    rest: list[Event] = [event async for event in fast]
    assert all(not isinstance(event, AttemptStarted) for event in rest)
