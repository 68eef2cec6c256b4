"""A running task: its agent's way to the kernel, with slots, attempts and retries behind `llm`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tenacity import AsyncRetrying, RetryCallState, wait_exponential, wait_random
from tenacity.retry import retry_if_exception_type

from engine.agents.protocol import Agent, Reply
from engine.cores.port import Attempt, Core, CoreInfo, Done, Fault, Lost, Message, Rejected, SlotState
from engine.errors import AiosError
from engine.events import AttemptEnded, Durable, Event, TaskRecovered
from engine.kernel.attempt_run import AttemptRun
from engine.kernel.config import KernelConfig
from engine.kernel.core_monitor import CoreMonitor
from engine.kernel.dispatcher import Dispatcher
from engine.kernel.slot_table import KernelSlot
from engine.task import AttemptState, GenerationOptions, Task, TaskSpec


class TaskRunHost(Protocol):
    """What a running task asks of its kernel."""

    config: KernelConfig
    now: Callable[[], float]
    dispatcher: Dispatcher
    watch: CoreMonitor

    def publish(self, event: Event) -> None: ...
    def emit(self, event: Durable) -> None: ...
    def info_of(self, core: Core) -> CoreInfo | None: ...
    def quarantine(self, place: KernelSlot, reason: str) -> None: ...
    def relieve(self, place: KernelSlot) -> None: ...


class SyscallFailed(AiosError):
    """An llm syscall failed after all its attempts; the text is the last reason."""


@dataclass(slots=True, eq=False)
class LiveTask:
    """A task that has not ended, with what drives it. Queued, it is only the first two fields.

    Attributes:
        waiting: rounds that are ready, each with the moment since when.
        cancelled: the reason, once someone asked for it. stopping: the kernel is; the task goes back to the queue.
        interrupted: an earlier run of the program died, or was stopped, while it ran.
        ending: its end is being written, or it is taken out of the queue: too late to cancel.
    """

    task: Task
    agent: Agent
    runner: asyncio.Task[None] | None = None
    turn: TaskRun | None = None
    ended: asyncio.Future[Task] | None = None
    waiting: dict[int, float] = field(default_factory=dict)
    cancelled: str | None = None
    stopping: bool = False
    ending: bool = False
    interrupted: bool = False

    def recovered(self, at: float) -> TaskRecovered:
        """The event from which someone who has just come knows the task."""
        task = self.task
        return TaskRecovered(
            at, task.id, task.spec, task.priority, task.submitted_at, self.interrupted, retry_of=task.retry_of
        )


class _TransientError(Exception):
    """An attempt failed in a way that another may not; carries the record of its end.

    Attributes:
        counts: against `max_attempts`. at_once: its slot is out of use for a while, which is pause enough: it is ready
            again now, in its own place, and goes where the next slot is.
    """

    def __init__(self, ended: AttemptEnded, *, counts: bool, at_once: bool) -> None:
        super().__init__(ended.error)
        self.ended = ended
        self.counts = counts
        self.at_once = at_once


class TaskRun:
    """Implements `AgentContext` for one running task. It begins with the slot that the task was dispatched on."""

    def __init__(self, kernel: TaskRunHost, live: LiveTask, granted: KernelSlot) -> None:
        self._kernel = kernel
        self._live = live
        self._granted: KernelSlot | None = granted
        self._rounds = 0
        self._over = False
        self._callers: set[asyncio.Task[object]] = set()
        self.executing: dict[int, AttemptRun] = {}

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
        self._refuse_if_over()
        self._rounds += 1
        round_ = self._rounds
        turns = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        spec = self.spec
        wanted = spec.options.over(options or GenerationOptions())
        if spec.output_tokens and wanted.max_tokens is None:
            wanted = wanted.model_copy(update={"max_tokens": spec.output_tokens})
        own, agents = spec.options.model_fields_set, options.model_fields_set if options else set[str]()
        template = Attempt(
            self._live.task.id,
            round_,
            0,
            turns,
            spec.model or model,
            wanted,
            tuple(tools),
            dispensable=frozenset(name for name in agents - own if getattr(wanted, name) is not None),
        )
        caller = asyncio.current_task()
        if caller is None or caller is self._live.runner:
            return await self._until_done(template)
        self._callers.add(caller)
        try:
            return await self._until_done(template)
        finally:
            self._callers.discard(caller)

    def tool_model(self) -> str | None:
        place, spec = self._granted, self.spec
        info = None if place is None else self._kernel.info_of(place.core)
        name = spec.model or (info.default_model if info else None)
        if info is None or name is None:
            return None
        taking = (model for model in info.models if "tools" in (model.capabilities or ()))
        return name if any(name in (model.name, *model.aliases) for model in taking) else None

    async def close(self) -> None:
        """The agent has ended: stop the rounds that it began in tasks of its own and did not wait for."""
        self._over = True
        left = [caller for caller in self._callers if not caller.done()]
        for caller in left:
            caller.cancel()
        if left:
            await asyncio.wait(left)

    def give_back(self) -> None:
        """Let go of the slot the task was dispatched on, if its agent has not used it by now."""
        if self._granted is not None:
            place, self._granted = self._granted, None
            self._kernel.dispatcher.release(place)

    async def _until_done(self, template: Attempt) -> Reply:
        config = self._kernel.config
        failures = 0

        def spent(state: RetryCallState) -> bool:
            nonlocal failures
            error = state.outcome.exception() if state.outcome else None
            failures += isinstance(error, _TransientError) and error.counts
            return failures >= config.max_attempts

        def record(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, _TransientError) and state.next_action is not None:
                self._kernel.emit(replace(error.ended, retry_in_s=state.next_action.sleep))

        backoff = wait_exponential(multiplier=config.backoff_s, max=config.backoff_max_s) + wait_random(
            0, config.backoff_s
        )

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return 0.0 if isinstance(error, _TransientError) and error.at_once else backoff(state)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TransientError),
            wait=pause,
            stop=spent,
            before_sleep=record,
            reraise=True,
        )
        try:
            async for number in retrying:
                with number:
                    return await self._attempt(replace(template, number=number.retry_state.attempt_number))
        except _TransientError as error:
            self._kernel.emit(error.ended)
            raise SyscallFailed(_with_tries(error.ended, failures)) from None
        raise AssertionError("retrying ends by a return or an exception")

    async def _attempt(self, attempt: Attempt) -> Reply:
        self._refuse_if_over()
        task = self._live.task
        place, ready_at = await self._acquire(attempt)
        loads = self._kernel.dispatcher.use(place, task.id, attempt.model)
        execution = AttemptRun(
            place.core,
            place.slot,
            replace(attempt, priority=task.priority),
            ready_at=ready_at,
            config=self._kernel.config,
            now=self._kernel.now,
            publish=self._kernel.publish,
        )
        task.attempts += 1
        task.core = place.core.name
        self.executing[attempt.round] = execution
        self._kernel.emit(execution.started)
        try:
            ended = await execution.run()
        except asyncio.CancelledError:
            state = AttemptState.INTERRUPTED if self._live.stopping else AttemptState.CANCELLED
            ended = execution.ended(state)
            self._count(ended, execution)
            self._kernel.emit(ended)
            raise
        finally:
            del self.executing[attempt.round]
            if isinstance(execution.outcome, Lost):
                self._kernel.quarantine(place, execution.outcome.reason)
                if execution.left is not None:  # a core's stream ends when its model has stopped
                    execution.left.add_done_callback(lambda _: self._kernel.relieve(place))
            self._kernel.dispatcher.release(place)
            if loads:  # what had to go for the model, the core knows
                self._kernel.watch.look(place.core)
        self._count(ended, execution)
        return self._judge(ended, execution, place)

    def _out_of_use(self, place: KernelSlot) -> bool:
        """Whether the slot of an attempt that failed is not to be used now, by its core's own word."""
        self._kernel.watch.settle(place.core)
        return place.slot.state is not SlotState.UP

    def _judge(self, ended: AttemptEnded, execution: AttemptRun, place: KernelSlot) -> Reply:
        outcome = execution.outcome
        match outcome:
            case Done():
                self._live.task.rounds += 1
                self._live.task.model = outcome.model
                self._kernel.emit(ended)
                return Reply(ended.reply, ended.thinking, outcome.model, ended.usage, outcome.tool_calls)
            case Rejected():
                raise _TransientError(ended, counts=False, at_once=self._out_of_use(place))
            case Fault(retryable=True):
                raise _TransientError(ended, counts=True, at_once=self._out_of_use(place))
            case Lost():
                raise _TransientError(ended, counts=True, at_once=False)
            case _:
                self._kernel.emit(ended)
                raise SyscallFailed(ended.error or f"{self._live.task.core}: the attempt was cancelled at the core")

    async def _acquire(self, attempt: Attempt) -> tuple[KernelSlot, float]:
        """Get a slot: the one the task was dispatched on, or the next that its place in the ready queue brings."""
        dispatcher, task = self._kernel.dispatcher, self._live.task
        if self._granted is not None:
            place, self._granted = self._granted, None
            if dispatcher.may_use(place, attempt.model):
                return place, task.submitted_at
            dispatcher.release(place)
        ready_at = self._live.waiting[attempt.round] = self._kernel.now()
        granted = dispatcher.acquire(task, attempt.round, attempt.model)
        try:
            return await granted, ready_at
        except asyncio.CancelledError:
            if not dispatcher.withdraw(task.id, attempt.round) and granted.done() and not granted.cancelled():
                dispatcher.release(granted.result())
            raise
        finally:
            del self._live.waiting[attempt.round]

    def _count(self, ended: AttemptEnded, execution: AttemptRun) -> None:
        task = self._live.task
        task.service_s += ended.service_s
        if task.ttft_s is None and execution.first_at is not None and task.started_at is not None:
            task.ttft_s = execution.first_at - task.started_at
        task.tokens_in += ended.usage.tokens_in
        task.tokens_out += ended.usage.tokens_out
        task.decode_s += ended.usage.decode_s

    def _refuse_if_over(self) -> None:
        if self._over or self._live.cancelled is not None or self._live.stopping:
            raise asyncio.CancelledError


def _with_tries(ended: AttemptEnded, failures: int) -> str:
    reason = ended.error or "the attempt failed"
    return f"{reason} (after {failures} attempts)" if failures > 1 else reason
