"""How tasks end: every path has its reason, its record and its slot back, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import Cancelled, Chunk, Done, Fault, FaultKind, Lost, Outcome, Rejected, SlotEvent, Usage
from engine.errors import KernelClosed, StoreError, UsageError
from engine.events import (
    AttemptEnded,
    AttemptProgress,
    AttemptStarted,
    Durable,
    Event,
    Notice,
    SlotChanged,
    TaskAccepted,
    TaskEnded,
    TaskRecovered,
    TaskRequeued,
)
from engine.kernel import Kernel, KernelConfig, SyscallFailed
from engine.store import MemoryStore, Recovery
from engine.task import AttemptState, Task, TaskFault, TaskRecord, TaskSpec, TaskState
from tests.engine.kernel.helpers import QUICK, CodeAgent, GateCore, Running, make_kernel, seen, until, within

BROKEN = Fault(FaultKind.BROKEN_STREAM, "cut", retryable=True)
REFUSED = Fault(FaultKind.BAD_REQUEST, "no such option", retryable=False)


class Trace(MemoryStore):
    """Keeps what it was given, in order; commits wait while `hold` is set, and fail with `fails`."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Durable] = []
        self.left: tuple[Task, ...] = ()
        self.free = asyncio.Event()
        self.free.set()
        self.fails: StoreError | None = None
        self.told: Callable[[str | None], None] = lambda line: None

    async def recover(self, *, max_interruptions: int) -> Recovery:
        return Recovery(self.left, frozenset(task.id for task in self.left if task.interruptions))

    def append(self, event: Durable) -> None:
        self.events.append(event)

    async def commit(self, events: Sequence[Durable]) -> None:
        await self.free.wait()
        if self.fails is not None:
            raise self.fails
        self.events += events

    def on_write_error(self, told: Callable[[str | None], None]) -> None:
        self.told = told

    def of(self, kind: type[Durable]) -> list[Durable]:
        return [event for event in self.events if isinstance(event, kind)]

    def attempts(self) -> list[AttemptEnded]:
        return [event for event in self.events if isinstance(event, AttemptEnded)]


async def begin(kernel: Kernel, core: GateCore, prompt: str = "p", agent: str = "chat") -> tuple[int, Running]:
    await kernel.start()
    task = await kernel.submit(TaskSpec(prompt=prompt, agent=agent))
    return task, await core.next()


def idle(kernel: Kernel) -> bool:
    return all(place.free for place in kernel.slots) and kernel.running_count == 0


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


async def test_cancelling_a_queued_task() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await begin(kernel, core)
    queued = await kernel.submit(TaskSpec(prompt="q"))
    waiting = asyncio.create_task(kernel.wait(queued))
    assert await kernel.cancel(queued, "not needed any more")
    final = await waiting
    assert (final.state, final.error, final.started_at) == (TaskState.CANCELLED, "not needed any more", None)
    assert not await kernel.cancel(queued)
    assert not await kernel.cancel(999)
    assert len(store.of(TaskEnded)) == 1
    await kernel.stop()


async def test_cancelling_a_running_task_stops_it_at_the_model() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    other = await kernel.submit(TaskSpec(prompt="other"))
    running.say("so f")
    assert await kernel.cancel(task)
    assert running.stopped
    final = await kernel.wait(task)
    assert (final.state, final.error) == (TaskState.CANCELLED, "cancelled by the operator")
    assert [end.state for end in store.attempts()] == [AttemptState.CANCELLED]
    (await core.next()).end()
    assert (await kernel.wait(other)).state is TaskState.DONE
    await kernel.stop()


async def test_cancelling_a_task_in_the_step_it_starts_in() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    for steps in range(6):
        task = await kernel.submit(TaskSpec(prompt="p"))
        for _ in range(steps):
            await asyncio.sleep(0)
        assert await within(kernel.cancel(task))
        assert idle(kernel), f"after {steps} steps"
    assert len(store.of(TaskEnded)) == 6
    await kernel.stop()


async def test_cancelling_a_task_whose_next_round_is_ready() -> None:
    core = GateCore()
    kernel = make_kernel(core, policy="npps")
    await kernel.start()
    story = await kernel.submit(TaskSpec(prompt="s", agent="story_teller"))
    first = await core.next()
    urgent = await kernel.submit(TaskSpec(prompt="u", priority=0))
    first.end()
    second = await core.next()
    assert second.attempt.task == urgent
    assert await kernel.cancel(story)
    second.end()
    assert (await kernel.wait(urgent)).state is TaskState.DONE
    assert idle(kernel)
    await kernel.stop()


async def test_cancelling_a_task_in_the_step_in_which_its_next_round_gets_a_slot() -> None:
    core = GateCore()
    kernel = make_kernel(core, policy="npps")
    await kernel.start()
    story = await kernel.submit(TaskSpec(prompt="s", agent="story_teller"))
    first = await core.next()
    urgent = await kernel.submit(TaskSpec(prompt="u", priority=0))
    first.end()
    second = await core.next()
    kernel.pause()
    second.end()
    await kernel.wait(urgent)
    cancelling = asyncio.create_task(kernel.cancel(story))
    kernel.resume()  # the slot is granted after the cancellation began, and before the agent hears of it
    assert await within(cancelling)
    assert idle(kernel) and core.begun.empty()
    other = await kernel.submit(TaskSpec(prompt="o"))
    (await core.next()).end()
    assert (await within(kernel.wait(other))).state is TaskState.DONE
    await kernel.stop()


async def test_an_agent_that_swallows_its_cancellation_gets_no_further_round() -> None:
    core = GateCore()

    async def stubborn(ctx: AgentContext) -> str:
        try:
            await ctx.llm("one")
        except asyncio.CancelledError:
            await ctx.llm("two")
        return "never"

    kernel = make_kernel(core, agents=[CodeAgent("stubborn", stubborn)])
    task, _ = await begin(kernel, core, agent="stubborn")
    assert await kernel.cancel(task)
    assert core.begun.empty()
    assert idle(kernel)
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


async def test_stop_leaves_running_tasks_for_the_next_start() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    queued = await kernel.submit(TaskSpec(prompt="q"))
    waiting = [asyncio.create_task(kernel.wait(id_)) for id_ in (task, queued)]
    await asyncio.sleep(0)
    await within(kernel.stop())
    assert running.stopped
    assert [end.state for end in store.attempts()] == [AttemptState.INTERRUPTED]
    assert [event.task for event in store.events if isinstance(event, TaskRequeued)] == [task]
    assert store.of(TaskEnded) == []
    for waiter in waiting:
        with pytest.raises(KernelClosed, match="stays queued"):
            await waiter
    with pytest.raises(KernelClosed):
        await kernel.submit(TaskSpec(prompt="p"))
    await kernel.stop()


async def test_stop_can_give_running_tasks_time_to_end() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    stopping = asyncio.create_task(kernel.stop(drain_s=10))
    await asyncio.sleep(0)
    running.end()
    await within(stopping)
    assert [event.task for event in store.events if isinstance(event, TaskEnded)] == [task]


async def test_stop_waits_for_an_end_that_is_being_written() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    subscription = kernel.subscribe()
    task, running = await begin(kernel, core)
    store.free.clear()
    running.end()
    await seen(subscription, AttemptEnded)
    for _ in range(5):
        await asyncio.sleep(0)
    waiting = asyncio.create_task(kernel.wait(task))
    stopping = asyncio.create_task(kernel.stop())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not stopping.done()
    store.free.set()
    await within(stopping)
    assert (await within(waiting)).state is TaskState.DONE
    assert [event.task for event in store.events if isinstance(event, TaskEnded)] == [task]
    assert not [event for event in store.events if isinstance(event, TaskRequeued)]


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
    told = [(event.task, event.interrupted, event.retry_of) for event in recovered]
    assert told == [(3, True, None), (4, False, None), (5, False, 2)]
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
    store.told("disk full: free some space")
    task = await kernel.submit(TaskSpec(prompt="p"))
    [notice] = await seen(subscription, Notice)
    assert isinstance(notice, Notice) and "disk full" in notice.text
    assert kernel.queued_count == 1
    store.told(None)
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


async def test_the_agents_options_and_the_tasks_meet_in_the_attempt() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    await kernel.submit(TaskSpec.model_validate({"prompt": "p", "options": {"temperature": 0.9}, "output_tokens": 7}))
    running = await core.next()
    assert running.attempt.options.temperature == 0.9
    assert running.attempt.options.max_tokens == 7
    await kernel.stop()
