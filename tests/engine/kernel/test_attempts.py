"""Attempts: retries, time limits, lost ones, and what is recorded of each."""

from __future__ import annotations

import asyncio

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import Cancelled, Chunk, Done, Fault, FaultKind, Lost, Outcome, Rejected, SlotEvent
from engine.events import (
    AttemptProgress,
    SlotChanged,
    TaskEnded,
    TaskStarted,
)
from engine.kernel import KernelConfig, SyscallFailed
from engine.task import AttemptState, TaskFault, TaskRecord, TaskSpec, TaskState
from tests.engine.kernel.helpers import (
    BROKEN,
    QUICK,
    REFUSED,
    CodeAgent,
    GateCore,
    Trace,
    begin,
    idle,
    make_kernel,
    seen,
    until,
    within,
)


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (REFUSED, "no such option"),
        (RuntimeError("segment\nfault"), "gate: RuntimeError: segment fault"),
        (Cancelled(), "cancelled at the core"),
    ],
)
async def test_a_failure_that_no_retry_mends_ends_the_task_at_once(outcome: Outcome | Exception, says: str) -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    running.say("half an ans")
    running.end(outcome)
    final = await kernel.wait(task)
    assert final.state is TaskState.FAILED
    assert final.error is not None and says in final.error and "\n" not in final.error
    assert final.attempts == 1
    assert idle(kernel)
    assert [ended.reply for ended in store.attempts()] == ["half an ans"]
    await kernel.stop()


async def test_transient_failures_are_tried_again_and_each_attempt_is_recorded() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    running.say("first ")
    running.end(BROKEN)
    second = await core.next()
    assert second.attempt.number == 2
    second.cut()
    third = await core.next()
    third.say("third")
    third.end()
    final = await kernel.wait(task)
    assert (final.state, final.result, final.attempts, final.rounds) == (TaskState.DONE, "third", 3, 1)
    ended = store.attempts()
    assert [end.state for end in ended] == [AttemptState.FAILED, AttemptState.FAILED, AttemptState.DONE]
    assert [end.fault for end in ended] == [FaultKind.BROKEN_STREAM, FaultKind.BROKEN_STREAM, None]
    assert [end.retry_in_s is not None for end in ended] == [True, True, False]
    await kernel.stop()


async def test_after_the_last_attempt_the_task_fails_with_the_last_reason() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    running.end(BROKEN)
    for _ in range(QUICK.max_attempts - 1):
        (await core.next()).end(Fault(FaultKind.SERVER, "500 out of luck", retryable=True))
    final = await kernel.wait(task)
    assert final.error == "500 out of luck (after 3 attempts)"
    assert len(store.attempts()) == final.attempts == 3
    assert store.attempts()[-1].retry_in_s is None
    await kernel.stop()


async def test_a_rejection_is_no_attempt_used_up() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    task, running = await begin(kernel, core)
    running.end(Rejected("queue full"))
    for _ in range(5):
        (await core.next()).end(Rejected("queue full"))
    (await core.next()).end()
    assert (await kernel.wait(task)).state is TaskState.DONE
    await kernel.stop()


async def test_while_one_waits_to_try_again_others_run() -> None:
    core = GateCore()
    kernel = make_kernel(core, config=KernelConfig(backoff_s=3600, backoff_max_s=7200))
    task, running = await begin(kernel, core)
    other = await kernel.submit(TaskSpec(prompt="other"))
    running.end(BROKEN)
    (await core.next()).end()
    assert (await kernel.wait(other)).state is TaskState.DONE
    assert await kernel.cancel(task), "its back-off can be cut short"
    await kernel.stop()


@pytest.mark.parametrize(
    ("config", "speaks", "kind"),
    [
        (KernelConfig(first_token_s=0.02, max_attempts=1), False, FaultKind.FIRST_TOKEN_TIMEOUT),
        (KernelConfig(gap_s=0.02, max_attempts=1), True, FaultKind.GAP_TIMEOUT),
        (KernelConfig(total_s=0.02, max_attempts=1), True, FaultKind.TOTAL_TIMEOUT),
    ],
)
async def test_what_takes_too_long_is_stopped_at_the_model(config: KernelConfig, speaks: bool, kind: FaultKind) -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store, config=config)
    task, running = await begin(kernel, core)
    if speaks:
        running.say("well")
    final = await within(kernel.wait(task))
    assert final.state is TaskState.FAILED
    assert store.attempts()[0].fault is kind
    assert final.error is not None and "0.02 s" in final.error
    assert running.stopped
    assert idle(kernel)
    await kernel.stop()


async def test_a_slow_drip_does_not_outlive_the_total_limit() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store, config=KernelConfig(gap_s=5, total_s=0.05, max_attempts=1))
    task, running = await begin(kernel, core)
    while not running.stopped:
        running.say(".")
        await asyncio.sleep(0.001)
    assert (await kernel.wait(task)).state is TaskState.FAILED
    assert store.attempts()[0].fault is FaultKind.TOTAL_TIMEOUT
    await kernel.stop()


async def test_a_reply_without_end_is_cut_off() -> None:
    core = GateCore()
    kernel = make_kernel(core, config=KernelConfig(max_reply_chars=1000))
    task, running = await begin(kernel, core)
    for _ in range(11):
        running.say("x" * 100)
    final = await kernel.wait(task)
    assert final.state is TaskState.FAILED
    assert final.error is not None and "1,000 characters" in final.error
    assert running.stopped
    await kernel.stop()


async def test_an_agent_may_catch_a_failed_syscall_and_go_on() -> None:
    core = GateCore()

    async def careful(ctx: AgentContext) -> str:
        try:
            return (await ctx.llm("risky")).text
        except SyscallFailed as failure:
            return (await ctx.llm(f"explain: {failure}")).text

    kernel = make_kernel(core, agents=[CodeAgent("careful", careful)])
    task, running = await begin(kernel, core, agent="careful")
    running.end(REFUSED)
    second = await core.next()
    assert second.attempt.messages[-1].content == "explain: no such option"
    second.say("because")
    second.end()
    assert (await kernel.wait(task)).result == "because"
    await kernel.stop()


async def test_a_core_that_does_not_stop_costs_its_slot_until_it_says_so() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    task, running = await begin(kernel, core)
    subscription = kernel.subscribe()
    core.stubborn = True
    running.say("on and on")
    assert await within(kernel.cancel(task))
    [changed] = await seen(subscription, SlotChanged)
    assert isinstance(changed, SlotChanged) and changed.state == "suspect"
    other = await kernel.submit(TaskSpec(prompt="other"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert kernel.queued_count == 1, "a suspect slot is given nothing"
    core.let_go.set()
    await until(lambda: running.stopped, "the model stops")
    core.stubborn = False
    core.says.put_nowait(SlotEvent("up"))
    (await core.next()).end()
    assert (await kernel.wait(other)).state is TaskState.DONE
    await kernel.stop()


async def test_late_pieces_of_a_lost_attempt_are_dropped() -> None:
    core = GateCore(slots=2)
    kernel = make_kernel(core)
    task, running = await begin(kernel, core)
    running.say("old")
    running.end(Lost("nobody knows"))
    second = await core.next()
    assert second.slot.id != running.slot.id
    second.say("new")
    second.end()
    assert (await kernel.wait(task)).result == "new"
    await kernel.stop()


async def test_a_core_that_is_down_keeps_its_tasks_waiting() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    subscription = kernel.subscribe()
    core.says.put_nowait(SlotEvent("down", reason="connection refused"))
    await seen(subscription, SlotChanged)
    task = await kernel.submit(TaskSpec(prompt="p"))
    await asyncio.sleep(0)
    assert kernel.queued_count == 1
    core.says.put_nowait(SlotEvent("up"))
    (await core.next()).end()
    assert (await kernel.wait(task)).state is TaskState.DONE
    await kernel.stop()


async def test_model_text_is_sanitised_chunk_by_chunk() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    subscription = kernel.subscribe()
    running.say("a\x1b]52;c;")
    running.say("aGk=\x07b\ud800")
    running.end()
    final = await kernel.wait(task)
    assert final.result == "a�]52;c;aGk=�b�"
    assert store.attempts()[0].reply == final.result
    texts = [event.text for event in subscription.drain() if isinstance(event, AttemptProgress)]
    assert "".join(texts) == final.result
    await kernel.stop()


async def test_the_fault_of_a_failed_task_is_in_its_final_record() -> None:
    core = GateCore(models=("a", "b"))
    kernel = make_kernel(core, config=KernelConfig(max_attempts=1))
    await kernel.start()
    subscription = kernel.subscribe()
    missing = Fault(FaultKind.NO_MODEL, "no model 'c' here", retryable=False)
    outcomes: list[tuple[str | None, Outcome | Exception, TaskFault | None]] = [
        ("c", missing, TaskFault("no_model", "c", "gate")),
        (None, missing, TaskFault("no_model", "a", "gate")),
        ("b", BROKEN, TaskFault("broken_stream", "b", "gate")),
        ("b", RuntimeError("bug"), TaskFault("internal", "b", "gate")),
        ("b", Cancelled(), None),
        ("b", Done("b"), None),
    ]
    for model, outcome, expected in outcomes:
        task = await kernel.submit(TaskSpec(prompt="p", model=model))
        (await core.next()).end(outcome)
        final = await within(kernel.wait(task))
        assert final.fault == TaskRecord.of(final).fault == expected
        [ended] = await seen(subscription, TaskEnded)
        assert isinstance(ended, TaskEnded) and ended.final.fault == expected
    await kernel.stop()


async def test_a_single_failure_that_counts_is_told_without_a_count() -> None:
    core = GateCore()
    kernel = make_kernel(core, config=KernelConfig(max_attempts=1))
    task, running = await begin(kernel, core)
    running.end(BROKEN)
    assert (await within(kernel.wait(task))).error == BROKEN.reason
    await kernel.stop()


async def test_a_new_subscriber_gets_the_thinking_and_the_text_until_now() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    _, running = await begin(kernel, core)
    for piece in (Chunk("thinking", "let me "), Chunk("thinking", "see"), Chunk("text", "42")):
        running.pieces.put_nowait(piece)
    subscription = kernel.subscribe()
    await seen(subscription, AttemptProgress, 3)
    pieces = [(event.kind, event.text) for event in kernel.snapshot() if isinstance(event, AttemptProgress)]
    assert pieces == [("thinking", "let me see"), ("text", "42")]
    await kernel.stop()


async def test_the_agents_options_and_the_tasks_meet_in_the_attempt() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    await kernel.submit(TaskSpec.model_validate({"prompt": "p", "options": {"temperature": 0.9}, "output_tokens": 7}))
    running = await core.next()
    assert running.attempt.options.temperature == 0.9
    assert running.attempt.options.max_tokens == 7
    await kernel.stop()


async def test_a_snapshot_has_what_the_events_had() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    kernel.switch_policy("npps")
    running, _queued = await kernel.submit_many([TaskSpec(prompt="r", priority=1), TaskSpec(prompt="q", priority=2)])
    stream = await core.next()
    live = kernel.subscribe()
    stream.say("hal")
    stream.say("lo")
    await until(live.drain, "an event of the stream")
    text = [getattr(event, "text", None) for event in kernel.snapshot()]
    starts = [event for event in kernel.snapshot() if isinstance(event, TaskStarted)]
    assert "hallo" in text or "hal" in text
    assert [start.task for start in starts] == [running]
    await kernel.stop()
