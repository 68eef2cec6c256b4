"""The tasks of one kernel: those that have not ended, those that ended a short while ago, and how each one ends."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import replace

from engine.agents.protocol import Agent, AgentContext, AgentResult, Agents
from engine.errors import AiosError, KernelClosed, StoreError, UsageError
from engine.events import (
    Event,
    Notice,
    SyscallReady,
    TaskAccepted,
    TaskEnded,
    TaskHeld,
    TaskRequeued,
    TaskStarted,
)
from engine.kernel.dispatcher import SyscallId
from engine.kernel.services import Services
from engine.kernel.slot_table import KernelSlot
from engine.kernel.task_run import LiveTask, SyscallFailed, TaskRun
from engine.sanitise import describe_error, one_line, sanitise
from engine.task import Task, TaskFault, TaskSpec, TaskState

log = logging.getLogger(__name__)

RECENT = 1_000
AHEAD = 100
"""Queued tasks that are listed as the scheduler will take them; the rest by the policy alone, which is cheaper."""
"""Ended tasks that are kept in memory, so that `find` and `wait` need no read of the history."""


class TaskTable:
    """Keeps live tasks, starts their agents when the dispatcher grants a slot, and records each end exactly once."""

    def __init__(self, services: Services, agents: Agents) -> None:
        self._services = services
        self._agents = agents
        self._live: dict[int, LiveTask] = {}
        self._running: set[int] = set()
        self._recent: OrderedDict[int, Task] = OrderedDict()
        self._dispatched = 0
        self._idle_waiters: list[asyncio.Future[None]] = []
        services.dispatcher.begin = self._begin
        services.dispatcher.must_wait = self._must_wait

    # -- look up -------------------------------------------------------------------------------------------------------

    @property
    def running_count(self) -> int:
        """Tasks that have started and not ended."""
        return len(self._running)

    @property
    def queued_count(self) -> int:
        """Tasks that have not started, including held ones."""
        return len(self._live) - len(self._running)

    def get(self, task_id: int) -> LiveTask | None:
        """The task, if it has not ended."""
        return self._live.get(task_id)

    def tasks(self, limit: int | None) -> list[Task]:
        """Copies of the first `limit` live tasks: running, then queued in dispatch order, then held."""
        running = sorted(self._running, key=lambda task_id: self._live[task_id].task.dispatch_order or 0)
        queued = self._queued(limit)
        held = [task_id for task_id, live in self._live.items() if live.task.held]
        ids = [*running, *queued, *held][:limit]
        return [replace(self._live[task_id].task) for task_id in ids if task_id in self._live]

    def _queued(self, limit: int | None) -> list[int]:
        """Queued tasks in dispatch order: the next ones as the scheduler will take them, then the policy's order."""
        dispatcher = self._services.dispatcher
        ahead = [
            task for task, round_ in dispatcher.upcoming(AHEAD if limit is None else min(limit, AHEAD)) if not round_
        ]
        if limit is not None and len(ahead) >= limit:
            return ahead  # nothing has to be sorted for it
        rest = [task for task, round_ in (item.id for item in dispatcher.ready()) if not round_]
        return list(dict.fromkeys(ahead + rest))

    async def find(self, task_id: int) -> Task | None:
        """A task that has ended, from memory or the history; None if there is none. Raises StoreError."""
        return self._recent.get(task_id) or await self._services.store.load(task_id)

    def snapshot(self) -> list[Event]:
        """Events from which a subscriber can rebuild all live tasks."""
        at = self._services.now()
        events: list[Event] = []
        for live in self._live.values():
            task = live.task
            events.append(live.recovered(at))
            if task.held:
                events.append(TaskHeld(at, task.id, True))
            if live.run is not None and task.dispatch_order is not None and task.started_at is not None:
                events.append(TaskStarted(task.started_at, task.id, task.dispatch_order, task.round_total))
                events += [SyscallReady(since, task.id, round_) for round_, since in live.waiting.items()]
                for attempt in live.run.executing.values():
                    events += attempt.so_far()
        return events

    # -- add -----------------------------------------------------------------------------------------------------------

    async def accept(self, specs: list[TaskSpec], retry_of: int | None) -> list[int]:
        """Make new tasks durable, then queue them; all or none. Raises UsageError, StoreError."""
        services = self._services
        agents = [self._agents.get(spec.agent) for spec in specs]
        at = services.now()
        tasks = [Task(services.store.next_task_id(), spec, at, spec.priority, retry_of=retry_of) for spec in specs]

        async def commit() -> None:
            events = [TaskAccepted(at, task.id, task.spec, retry_of) for task in tasks]
            await services.store.commit(events)
            for task, agent, event in zip(tasks, agents, events, strict=True):
                self._enqueue(LiveTask(task, agent))
                services.publish(event)

        # A caller that is cancelled meanwhile must not leave a task durable but unknown.
        await asyncio.shield(asyncio.create_task(commit()))
        return [task.id for task in tasks]

    def recover(self, task: Task, *, interrupted: bool) -> None:
        """Queue a task that an earlier run of the program left unfinished."""
        try:
            agent: Agent = self._agents.get(task.spec.agent)
        except UsageError as error:
            agent = _MissingAgent(task.spec.agent, str(error))
        live = LiveTask(task, agent, interrupted=interrupted)
        event = live.recovered(self._services.now())
        self._enqueue(live)
        self._services.publish(event)
        if task.held:
            self._services.publish(TaskHeld(event.at, task.id, True))

    def _enqueue(self, live: LiveTask) -> None:
        self._live[live.task.id] = live
        if not live.task.held:
            self.make_ready(live)

    def make_ready(self, live: LiveTask) -> None:
        """Enter a task that has not started in the ready queue."""
        services = self._services
        if services.dispatcher.admits_tasks and not self._running:
            services.monitor.work_arrives()
        services.dispatcher.add(live.task)

    # -- called by the dispatcher --------------------------------------------------------------------------------------

    def _begin(self, task_id: int, slot: KernelSlot) -> None:
        """Start the task's agent, with this slot for its first round."""
        live = self._live[task_id]
        self._dispatched += 1
        task = live.task
        task.state = TaskState.RUNNING
        task.started_at = self._services.now()
        task.dispatch_order = self._dispatched
        task.round_total = live.agent.round_total
        self._running.add(task_id)
        self._services.emit(TaskStarted(task.started_at, task_id, task.dispatch_order, task.round_total))
        live.run = run = TaskRun(self._services, live, slot)
        live.runner = asyncio.create_task(self._run_agent(live, run), name=f"task {task_id}")
        # After the agent's first step: a slot that it has not used by then serves other tasks.
        asyncio.get_running_loop().call_soon(run.return_slot)

    def _must_wait(self, id_: SyscallId) -> None:
        """Publish that a round got no slot at once."""
        task_id, round_ = id_
        self._services.publish(SyscallReady(self._live[task_id].waiting[round_], task_id, round_))

    # -- end -----------------------------------------------------------------------------------------------------------

    async def _run_agent(self, live: LiveTask, run: TaskRun) -> None:
        state, result, error, fault = TaskState.FAILED, None, None, None
        try:
            try:
                answer = await live.agent.run(run)
            finally:
                await run.close()
            result, state = sanitise(answer["result"]), TaskState.DONE
        except asyncio.CancelledError:
            if live.stopping:
                self._requeue(live)
                return
            state = TaskState.CANCELLED if live.cancelled is not None else TaskState.FAILED
            error = live.cancelled or f"agent {live.task.spec.agent}: it cancelled itself"
        except AiosError as failure:
            error = one_line(str(failure))
            fault = failure.fault if isinstance(failure, SyscallFailed) else None
        except (GeneratorExit, KeyboardInterrupt):
            raise  # not the agent's: the event loop is ending
        except BaseException as failure:
            log.exception("agent %s failed in task %d", live.task.spec.agent, live.task.id)
            error = one_line(f"agent {live.task.spec.agent}: {describe_error(failure)}")
        finally:
            run.return_slot()
        live.ending = True
        await self._end(live, state, result=result, error=error, fault=fault)

    async def cancel_queued(self, live: LiveTask, reason: str) -> None:
        """Take a task that has not started out of the queue, and end it as cancelled. Durable on return."""
        live.ending = True
        self._services.dispatcher.withdraw(live.task.id, 0)
        await asyncio.shield(asyncio.create_task(self._end(live, TaskState.CANCELLED, error=reason)))

    async def _end(
        self,
        live: LiveTask,
        state: TaskState,
        *,
        result: str | None = None,
        error: str | None = None,
        fault: TaskFault | None = None,
    ) -> None:
        """Write the end to the history, then change the state, then publish it: nobody sees an end that can be lost."""
        services, task = self._services, live.task
        final = replace(task, state=state, ended_at=services.now(), result=result, error=error, fault=fault, held=False)
        event = TaskEnded(final.ended_at or 0.0, task.id, state, final)
        try:
            await services.store.commit([event])
        except StoreError as failure:
            log.error("the end of task %d is not in the history: %s", task.id, failure)  # noqa: TRY400
            notice = f"the end of task {task.id} is not in the history: {failure}"
            services.publish(Notice(services.now(), "error", notice))
        live.task = final
        self._live.pop(task.id, None)
        self._running.discard(task.id)
        self._recent[task.id] = final
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        self.wake_if_idle()
        services.publish(event)
        if live.ended is not None and not live.ended.done():
            live.ended.set_result(final)

    def interrupt(self, live: LiveTask) -> None:
        """Cancel a running task's agent, but neither before its first step (it could not clean up) nor in its end."""

        def cancel() -> None:
            if live.runner is not None and not live.ending:
                live.runner.cancel()

        asyncio.get_running_loop().call_soon(cancel)

    def interrupt_all(self, *, writable: bool) -> list[asyncio.Task[None]]:
        """Interrupt all running tasks; returns the asyncio tasks to wait for.

        With `writable` False, the history takes no records, so tasks whose end is being written are not waited for.
        """
        runners = []
        for live in list(self._live.values()):
            if live.runner is not None:
                live.stopping = not live.ending and live.cancelled is None
                self.interrupt(live)
                if writable or not live.ending:
                    runners.append(live.runner)
        return runners

    def _requeue(self, live: LiveTask) -> None:
        self._running.discard(live.task.id)
        live.runner = None
        live.interrupted = True
        self._services.emit(TaskRequeued(self._services.now(), live.task.id, "the program was stopped"))
        self.wake_if_idle()

    # -- waiters -------------------------------------------------------------------------------------------------------

    def until_ended(self, live: LiveTask) -> asyncio.Future[Task]:
        """A future of the final task, the same one for all waiters: shield it."""
        if live.ended is None:
            live.ended = asyncio.get_running_loop().create_future()
        return live.ended

    def until_idle(self) -> asyncio.Future[None]:
        """A future that is done when no task runs any more, or `wake_idle_waiters` was called."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle_waiters.append(future)
        self.wake_if_idle()
        return future

    def wake_if_idle(self) -> None:
        """Resolve the futures of `until_idle` if no task runs."""
        if not self._running:
            self.wake_idle_waiters()

    def wake_idle_waiters(self) -> None:
        """Resolve the futures of `until_idle` now."""
        waiters, self._idle_waiters = self._idle_waiters, []
        for future in waiters:
            if not future.done():
                future.set_result(None)

    def fail_waiters(self) -> None:
        """Give all who wait for a task KernelClosed: the kernel has stopped, so no task will end any more."""
        for live in self._live.values():
            if live.ended is not None and not live.ended.done():
                live.ended.set_exception(closed_error(live))
                live.ended.exception()  # a waiter that has gone is no error


def closed_error(live: LiveTask) -> KernelClosed:
    """The KernelClosed error for waiters of an unfinished task."""
    if live.ending:
        return KernelClosed(f"task {live.task.id}: the kernel was stopped before its end was in the history")
    return KernelClosed(f"task {live.task.id} stays queued: the kernel was stopped")


class _MissingAgent:
    """Replaces an agent that is no longer in the catalogue: tasks recovered for it fail with that reason."""

    description = "no longer in the catalogue"
    round_total = None

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    async def run(self, ctx: AgentContext) -> AgentResult:
        raise UsageError(self._reason)
