"""One running task: the agent's `AgentContext`, with slots, attempts and retries behind its `llm` call.

An agent is untrusted code that awaits `llm` once per round. Behind each call: wait for a slot, run an attempt on it,
and after a fault that may pass, wait and try again.

Guarantees:

* A slot is held only while an attempt executes on it, plus the agent's first step after dispatch. It is released in a
  `finally`, so neither an exception nor a cancellation keeps it.
* Each attempt has exactly one AttemptEnded record. The record of an attempt that will be retried says in how many
  seconds; that is known only after the retry rule has decided, so the record travels inside `_TransientError` and is
  emitted by the retry loop, not where the attempt ended.
* Between rounds a more urgent task may go first. A round asks for its slot in the ready queue under its task's own
  priority and arrival, so that a task keeps its position for all its rounds.
* After the task's end, its cancellation or the kernel's stop, `llm` raises CancelledError. An agent that swallows its
  cancellation, or leaves asyncio tasks behind that call `llm`, gets no further round (`close`).

The slot from the dispatch serves the first round. If the agent names a model that would make the core swap, it is
returned and the round queues like any other; if the agent's first step makes no llm call, `return_slot` releases it.

Two kinds of failure do not count against `max_attempts` in the same way: `Rejected` (the server was busy and executed
nothing) never counts, and a fault on a slot that its core has taken out of use retries at once, because waiting for
another slot is pause enough. All others wait with exponential back-off and jitter (tenacity).

Race: a cancellation can arrive in the same loop step in which the dispatcher granted the slot. Then the future has a
result that nobody will read, so `_acquire` releases that slot itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, wait_exponential, wait_random
from tenacity.retry import retry_if_exception_type

from engine.agents.protocol import Agent, Reply
from engine.cores.port import Attempt, Done, Fault, Lost, Message, Rejected, SlotState
from engine.errors import AiosError
from engine.events import AttemptEnded, TaskRecovered
from engine.kernel.attempt_run import AttemptRun
from engine.kernel.services import Services
from engine.kernel.slot_table import KernelSlot
from engine.task import AttemptState, GenerationOptions, Task, TaskFault, TaskSpec


class SyscallFailed(AiosError):
    """An llm syscall failed after all its attempts. The text is the last attempt's error, `fault` its kind."""

    def __init__(self, reason: str, fault: TaskFault | None = None) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(slots=True, eq=False)
class LiveTask:
    """A task that has not ended, with what runs it. A queued task has only the first two fields set.

    Attributes:
        runner: the asyncio task that runs the agent. ended: resolved with the final task; made for the first waiter.
        waiting: rounds that wait for a slot, each with the moment since when, Unix seconds.
        cancelled: the reason, once the task was cancelled.
        stopping: the kernel stops, and the task goes back to the queue.
        interrupted: an earlier run of the program died, or was stopped, while the task ran.
        ending: its end is being written, or it is being taken out of the queue: too late to cancel.
    """

    task: Task
    agent: Agent
    runner: asyncio.Task[None] | None = None
    run: TaskRun | None = None
    ended: asyncio.Future[Task] | None = None
    waiting: dict[int, float] = field(default_factory=dict)
    cancelled: str | None = None
    stopping: bool = False
    ending: bool = False
    interrupted: bool = False

    def recovered(self, at: float) -> TaskRecovered:
        """The event that introduces the task to a new subscriber."""
        task = self.task
        return TaskRecovered(
            at, task.id, task.spec, task.priority, task.submitted_at, self.interrupted, retry_of=task.retry_of
        )


class _TransientError(Exception):
    """An attempt failed, and another attempt may succeed. Carries the record of its end.

    Attributes:
        counts: against `max_attempts`.
        at_once: retry without a pause, because the slot is out of use: the round is ready again now, keeps its position
            in the queue, and goes to the next slot that is free.
    """

    def __init__(self, ended: AttemptEnded, *, counts: bool, at_once: bool) -> None:
        super().__init__(ended.error)
        self.ended = ended
        self.counts = counts
        self.at_once = at_once


class TaskRun:
    """Implements `AgentContext` for one running task."""

    def __init__(self, services: Services, live: LiveTask, granted: KernelSlot) -> None:
        """`granted` is the slot that the task was dispatched on; the first round uses it."""
        self._services = services
        self._live = live
        self._granted: KernelSlot | None = granted
        self._rounds = 0
        self._closed = False
        self._callers: set[asyncio.Task[object]] = set()
        self.executing: dict[int, AttemptRun] = {}

    # -- for the agent -------------------------------------------------------------------------------------------------

    @property
    def spec(self) -> TaskSpec:
        return self._live.task.spec

    async def llm(
        self,
        messages: str | Sequence[Message],
        *,
        options: GenerationOptions | None = None,
        model: str | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> Reply:
        self._raise_if_over()
        self._rounds += 1
        conversation = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        template = self._first_attempt(conversation, options, model, tools)
        caller = asyncio.current_task()
        if caller is None or caller is self._live.runner:
            return await self._run_round(template)
        self._callers.add(caller)
        try:
            return await self._run_round(template)
        finally:
            self._callers.discard(caller)

    def _first_attempt(
        self,
        conversation: tuple[Message, ...],
        options: GenerationOptions | None,
        model: str | None,
        tools: Sequence[Mapping[str, Any]],
    ) -> Attempt:
        """Combine the agent's options and model with those of the task, which come first. Numbered 0."""
        spec = self.spec
        merged = spec.options.over(options or GenerationOptions())
        if spec.output_tokens and merged.max_tokens is None:
            merged = merged.model_copy(update={"max_tokens": spec.output_tokens})
        of_task, of_agent = spec.options.model_fields_set, options.model_fields_set if options else set[str]()
        return Attempt(
            self._live.task.id,
            self._rounds,
            0,
            conversation,
            spec.model or model,
            merged,
            tuple(tools),
            dispensable=frozenset(name for name in of_agent - of_task if getattr(merged, name) is not None),
        )

    def tool_model(self) -> str | None:
        slot, spec = self._granted, self.spec
        info = None if slot is None else self._services.info_of(slot.core)
        name = spec.model or (info.default_model if info else None)
        if info is None or name is None:
            return None
        tool_models = (model for model in info.models if "tools" in (model.capabilities or ()))
        return name if any(name in (model.name, *model.aliases) for model in tool_models) else None

    # -- for the task table --------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the run after its agent: cancel the rounds that the agent began in asyncio tasks and did not await."""
        self._closed = True
        left = [caller for caller in self._callers if not caller.done()]
        for caller in left:
            caller.cancel()
        if left:
            await asyncio.wait(left)

    def return_slot(self) -> None:
        """Release the slot that the task was dispatched on, unless the first round has taken it."""
        if self._granted is not None:
            slot, self._granted = self._granted, None
            self._services.dispatcher.release(slot)

    # -- rounds and attempts -------------------------------------------------------------------------------------------

    async def _run_round(self, template: Attempt) -> Reply:
        """Run attempts until one succeeds. Raises SyscallFailed."""
        config = self._services.config
        exponential = wait_exponential(multiplier=config.backoff_s, max=config.backoff_max_s)
        backoff = exponential + wait_random(0, config.backoff_s)
        failures = 0

        def exhausted(state: RetryCallState) -> bool:
            nonlocal failures
            error = _transient(state)
            failures += error is not None and error.counts
            return failures >= config.max_attempts

        def pause(state: RetryCallState) -> float:
            error = _transient(state)
            return 0.0 if error is not None and error.at_once else backoff(state)

        def record(state: RetryCallState) -> None:
            error = _transient(state)
            if error is not None and state.next_action is not None:
                self._services.emit(replace(error.ended, retry_in_s=state.next_action.sleep))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TransientError),
            wait=pause,
            stop=exhausted,
            before_sleep=record,
            reraise=True,
        )
        try:
            async for number in retrying:
                with number:
                    return await self._run_attempt(replace(template, number=number.retry_state.attempt_number))
        except _TransientError as error:
            self._services.emit(error.ended)
            raise self._failed(error.ended, failures) from None
        raise AssertionError("retrying ends by a return or an exception")

    async def _run_attempt(self, attempt: Attempt) -> Reply:
        """Run one attempt. Raises _TransientError, SyscallFailed."""
        self._raise_if_over()
        services, task = self._services, self._live.task
        slot, ready_at = await self._acquire(attempt)
        loads = services.dispatcher.use(slot, task.id, attempt.model)
        run = AttemptRun(
            slot.core,
            slot.slot,
            replace(attempt, priority=task.priority),
            ready_at=ready_at,
            config=services.config,
            now=services.now,
            publish=services.publish,
            on_first_token=lambda: services.monitor.attempt_streams(slot.core, loads=loads),
        )
        task.attempts += 1
        task.core = slot.core.name
        self.executing[attempt.round] = run
        services.emit(run.started)
        services.monitor.attempt_began(slot.core)
        try:
            ended = await run.run()
        except asyncio.CancelledError:
            state = AttemptState.INTERRUPTED if self._live.stopping else AttemptState.CANCELLED
            ended = run.ended(state)
            self._add_usage(ended, run)
            services.emit(ended)
            raise
        finally:
            del self.executing[attempt.round]
            if isinstance(run.outcome, Lost):
                services.monitor.quarantine(slot, run.outcome.reason)
                if run.abandoned is not None:  # the core's stream ends when its model has stopped
                    run.abandoned.add_done_callback(lambda _: services.monitor.end_quarantine(slot))
            services.dispatcher.release(slot)
            services.monitor.attempt_ended(slot.core, loads=loads, first_token_at=run.first_at)
        self._add_usage(ended, run)
        return self._reply(ended, run, slot)

    def _reply(self, ended: AttemptEnded, run: AttemptRun, slot: KernelSlot) -> Reply:
        """The reply of a successful attempt. Raises _TransientError if another one may succeed, or SyscallFailed."""
        outcome = run.outcome
        match outcome:
            case Done():
                self._live.task.rounds += 1
                self._live.task.model = outcome.model
                self._services.emit(ended)
                return Reply(ended.reply, ended.thinking, outcome.model, ended.usage, outcome.tool_calls)
            case Rejected():
                raise _TransientError(ended, counts=False, at_once=self._out_of_use(slot))
            case Fault(retryable=True):
                raise _TransientError(ended, counts=True, at_once=self._out_of_use(slot))
            case Lost():
                raise _TransientError(ended, counts=True, at_once=False)
            case _:
                self._services.emit(ended)
                raise self._failed(ended, 1)

    def _failed(self, ended: AttemptEnded, failures: int) -> SyscallFailed:
        """The error of a round whose last attempt ended with this record, after `failures` attempts that count."""
        core = self._live.task.core
        cancelled = ended.state is AttemptState.CANCELLED
        reason = ended.error or (
            f"{core}: the attempt was cancelled at the core" if cancelled else "the attempt failed"
        )
        if failures > 1:
            reason = f"{reason} (after {failures} attempts)"
        if ended.fault is None:
            return SyscallFailed(reason)
        info = self._services.monitor.infos.get(core or "")
        model = ended.model or (info.default_model if info is not None else None)
        return SyscallFailed(reason, TaskFault(ended.fault.value, model, core))

    def _out_of_use(self, slot: KernelSlot) -> bool:
        """True if the core says that the slot of a failed attempt can't be used now."""
        self._services.monitor.update_slots(slot.core)
        return slot.slot.state is not SlotState.UP

    async def _acquire(self, attempt: Attempt) -> tuple[KernelSlot, float]:
        """Get a slot, and the moment since when the round waited for it.

        It is the slot that the task was dispatched on, or else the one that the ready queue grants.
        """
        dispatcher, task = self._services.dispatcher, self._live.task
        if self._granted is not None:
            slot, self._granted = self._granted, None
            if dispatcher.may_use(slot, attempt.model):
                return slot, task.submitted_at
            dispatcher.release(slot)
        ready_at = self._live.waiting[attempt.round] = self._services.now()
        granted = dispatcher.acquire(task, attempt.round, attempt.model)
        try:
            return await granted, ready_at
        except asyncio.CancelledError:
            if not dispatcher.withdraw(task.id, attempt.round) and granted.done() and not granted.cancelled():
                dispatcher.release(granted.result())
            raise
        finally:
            del self._live.waiting[attempt.round]

    def _add_usage(self, ended: AttemptEnded, run: AttemptRun) -> None:
        task = self._live.task
        task.service_s += ended.service_s
        if task.ttft_s is None and run.first_at is not None and task.started_at is not None:
            task.ttft_s = run.first_at - task.started_at
        task.tokens_in += ended.usage.tokens_in
        task.tokens_out += ended.usage.tokens_out
        task.decode_s += ended.usage.decode_s

    def _raise_if_over(self) -> None:
        if self._closed or self._live.cancelled is not None or self._live.stopping:
            raise asyncio.CancelledError


def _transient(state: RetryCallState) -> _TransientError | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, _TransientError) else None
