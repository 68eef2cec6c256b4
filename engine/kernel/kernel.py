"""The async kernel: accepts tasks durably, dispatches what is ready onto free slots, and sees each task to its end."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.agents.protocol import Agent, AgentContext, AgentResult, Agents
from engine.cores.port import Core, CoreInfo
from engine.errors import AiosError, KernelClosed, StoreError, UsageError
from engine.events import (
    CoreChanged,
    Durable,
    Event,
    KernelStateChanged,
    Notice,
    PolicyChanged,
    SlotChanged,
    SwapPlanned,
    SyscallReady,
    TaskAccepted,
    TaskEnded,
    TaskHeld,
    TaskReprioritised,
    TaskRequeued,
    TaskStarted,
)
from engine.kernel.clock import unix_clock
from engine.kernel.config import KernelConfig
from engine.kernel.core_monitor import CoreMonitor
from engine.kernel.dispatcher import Dispatcher, SyscallId
from engine.kernel.event_bus import EventBus, Subscription
from engine.kernel.lifecycle import Lifecycle
from engine.kernel.slot_table import KernelSlot
from engine.kernel.task_run import LiveTask, TaskRun
from engine.sanitise import described, one_line, sanitise
from engine.scheduling import Policy, parse_policy
from engine.store import Recovery, Store
from engine.task import KernelState, Task, TaskSpec, TaskState

log = logging.getLogger(__name__)

RECENT = 1_000


class Kernel:
    """Everything happens on one event loop; nothing polls. See docs/architecture.md for a task's walk."""

    def __init__(
        self,
        *,
        cores: Sequence[Core],
        store: Store,
        agents: Agents,
        policy: Policy,
        config: KernelConfig | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.cores = tuple(cores)
        self.config = config or KernelConfig()
        self.now = now or unix_clock()
        self.dispatcher = Dispatcher(
            policy, begin=self._begin, must_wait=self._must_wait, publish=self.publish, now=self.now
        )
        self.slots = self.dispatcher.slots
        self.watch = CoreMonitor(self.dispatcher, self.publish, self.now)
        self._life = Lifecycle(self, store)
        self._store = store
        self._agents = agents
        self._live: dict[int, LiveTask] = {}
        self._running: set[int] = set()
        self._recent: OrderedDict[int, Task] = OrderedDict()
        self._bus = EventBus()
        self._dispatched = 0

    # -- what a caller may look at -------------------------------------------------------------------------------------

    @property
    def state(self) -> KernelState:
        return self._life.state

    @property
    def policy(self) -> Policy:
        return self.dispatcher.policy

    @property
    def running_count(self) -> int:
        """Tasks that have started and not ended."""
        return len(self._running)

    @property
    def queued_count(self) -> int:
        """Tasks that have not started; those that are held, too."""
        return len(self._live) - len(self._running)

    @property
    def infos(self) -> list[CoreInfo]:
        """The cores as they were when last looked at; `inspect` looks now."""
        return list(self.watch.infos.values())

    def info_of(self, core: Core) -> CoreInfo | None:
        """The core as it was when last looked at."""
        return self.watch.infos.get(core.name)

    def next_swap(self, core: str | None = None) -> SwapPlanned | None:
        """The model that the core will load next, as far as what is ready tells, or the first core that will."""
        planned = self.dispatcher.swaps.planned
        return next(iter(planned.values()), None) if core is None else planned.get(core)

    def live_tasks(self, limit: int | None = None) -> list[Task]:
        """Copies of the first `limit` tasks that have not ended: running, queued as they would run, and held ones."""
        running = sorted(self._running, key=lambda task_id: self._live[task_id].task.dispatch_order or 0)
        queued = [item.id[0] for item in self.dispatcher.ready() if item.id[1] == 0]
        held = [task_id for task_id, live in self._live.items() if live.task.held]
        ids = [*running, *queued, *held][:limit]
        return [replace(self._live[task_id].task) for task_id in ids if task_id in self._live]

    async def find(self, task_id: int) -> Task | None:
        """One task, live or ended, as it is now; None when it is not known. Raises StoreError."""
        live = self._live.get(task_id)
        if live is not None:
            return replace(live.task)
        return self._recent.get(task_id) or await self._store.load(task_id)

    def subscribe(self, *, capacity: int = 100_000) -> Subscription:
        """Get every event from now on. Together with `snapshot()`, called next, it misses and repeats nothing."""
        return self._bus.subscribe(capacity)

    def snapshot(self) -> list[Event]:
        """Events which, folded from nothing, give the present state."""
        at = self.now()
        events: list[Event] = [
            KernelStateChanged(at, self.state, self._life.trouble or ""),
            PolicyChanged(at, self.policy.name, None),
        ]
        events += [
            SlotChanged(at, place.slot.id, place.slot.core, place.slot.state, place.slot.reason) for place in self.slots
        ]
        events += [CoreChanged(at, info) for info in self.watch.infos.values()]
        events += self.dispatcher.swaps.planned.values()
        for live in self._live.values():
            task = live.task
            events.append(live.recovered(at))
            if task.held:
                events.append(TaskHeld(at, task.id, True))
            if live.turn is not None and task.dispatch_order is not None and task.started_at is not None:
                events.append(TaskStarted(task.started_at, task.id, task.dispatch_order, task.round_total))
                events += [SyscallReady(since, task.id, round_) for round_, since in live.waiting.items()]
                for execution in live.turn.executing.values():
                    events += execution.so_far()
        return events

    def upcoming(self, limit: int) -> list[tuple[int, int]]:
        """The next `limit` (task id, round) in the order in which they will be dispatched."""
        return [item.id for item in self.dispatcher.ready()[:limit]]

    async def inspect(self, name: str | None = None) -> list[CoreInfo]:
        """Ask every core how it is, or the one of this name, and tell the subscribers."""
        return await self.watch.inspect([core for core in self.cores if name in (None, core.name)])

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self, *, recover: bool = True, paused: bool = False) -> Recovery:
        """Start the cores, take up what an earlier run left, and begin to dispatch. Once only.

        Raises:
            CoreError, StoreError: with one line; whatever had been started is stopped again.
            KernelClosed: the kernel was stopped meanwhile.
        """
        return await self._life.start(recover=recover, paused=paused)

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Accept nothing more, stop what runs at the model, and leave it and what is queued for the next start.

        Running tasks get `drain_s` seconds to end by themselves first. Idempotent: a second call returns when all is
        stopped, too, and without `drain_s` ends the time that the first one gave. Once begun it goes on, also when its
        caller is cancelled. The store stays open.
        """
        await self._life.stop(drain_s=drain_s)

    def pause(self) -> None:
        """Dispatch nothing more until `resume()`; what executes goes on to the end of its round."""
        self._life.set(KernelState.PAUSED)

    def resume(self) -> None:
        """Dispatch again, after a pause or a drain."""
        self._life.set(KernelState.RUNNING)

    async def drain(self) -> None:
        """Start no further task, and return when none runs any more, or someone resumed or stopped the kernel."""
        await self._life.drain()

    # -- tasks ---------------------------------------------------------------------------------------------------------

    async def submit(self, spec: TaskSpec) -> int:
        """Accept one task; see `submit_many`."""
        return (await self.submit_many([spec]))[0]

    async def submit_many(self, specs: Sequence[TaskSpec], *, retry_of: int | None = None) -> list[int]:
        """Accept tasks, all or none, and return their ids once they are durable.

        Raises:
            UsageError: an agent is not known. KernelClosed: the kernel was stopped.
            StoreError: the history could not be written.
        """
        self._life.refuse_if_closed()
        agents = [self._agents.get(spec.agent) for spec in specs]
        at = self.now()
        tasks = [Task(self._store.next_task_id(), spec, at, spec.priority, retry_of=retry_of) for spec in specs]

        async def accept() -> None:
            events = [TaskAccepted(at, task.id, task.spec, retry_of) for task in tasks]
            await self._store.commit(events)
            for task, agent, event in zip(tasks, agents, events, strict=True):
                self._enqueue(LiveTask(task, agent))
                self.publish(event)

        # A caller that goes away meanwhile must not leave a task durable but unknown.
        await asyncio.shield(asyncio.create_task(accept()))
        return [task.id for task in tasks]

    async def wait(self, task_id: int) -> Task:
        """The task, once it has ended. Raises KeyError when it is not known, KernelClosed when it will not end now."""
        live = self._live.get(task_id)
        if live is None:
            task = self._recent.get(task_id) or await self._store.load(task_id)
            if task is None or not task.state.ended:
                raise KeyError(task_id)
            return task
        if self._life.stopped:
            raise _left(live)
        if live.ended is None:
            live.ended = asyncio.get_running_loop().create_future()
        return await asyncio.shield(live.ended)

    async def cancel(self, task_id: int, reason: str = "cancelled by the operator") -> bool:
        """Cancel a task, at the model too, and return once that is durable.

        False when it has ended or is not known, and for what a stop leaves to the next start.
        """
        live = self._live.get(task_id)
        if live is None or live.ending or self._life.over:
            return False
        live.cancelled = live.cancelled or one_line(reason)
        if live.runner is None:
            live.ending = True
            self.dispatcher.withdraw(task_id, 0)
            await asyncio.shield(asyncio.create_task(self._end(live, TaskState.CANCELLED, error=live.cancelled)))
            return True
        self._interrupt(live)
        try:
            return (await self.wait(task_id)).state is TaskState.CANCELLED
        except KernelClosed:
            return False

    async def retry(self, task_id: int) -> int:
        """Submit an ended task's spec again as a new task; returns its id. Raises UsageError when it can't be."""
        if task_id in self._live:
            raise UsageError(f"task {task_id} has not ended; cancel it first")
        task = self._recent.get(task_id) or await self._store.load(task_id)
        if task is None:
            raise UsageError(f"there is no task {task_id}")
        spec = task.spec.model_copy(update={"priority": task.priority})
        return (await self.submit_many([spec], retry_of=task_id))[0]

    def reprioritise(self, task_id: int, priority: int) -> bool:
        """Give a task another priority: where it is queued, and for the later rounds of one that runs.

        False when it has ended or is not known, or the kernel is stopped; ValueError outside 0…9.
        """
        if not 0 <= priority <= 9:
            raise ValueError(f"priority {priority} is not one of 0 … 9")
        live = self._live.get(task_id)
        if live is None or live.ending or self._life.over:
            return False
        previous, live.task.priority = live.task.priority, priority
        if previous != priority:
            for round_ in [0] if live.runner is None else live.waiting:
                self.dispatcher.reprioritise(task_id, round_, priority)
            self.emit(TaskReprioritised(self.now(), task_id, priority, previous))
        return True

    def hold(self, task_id: int) -> bool:
        """Have a queued task not dispatched until it is released; it keeps its priority and arrival. Idempotent.

        False when its first turn has come, it has ended or is not known, or the kernel is stopped.
        """
        live = self._waiting_for_its_first_turn(task_id)
        if live is not None and not live.task.held:
            self.dispatcher.withdraw(task_id, 0)
            self._mark_held(live.task, held=True)
        return live is not None

    def release(self, task_id: int) -> bool:
        """Let a held task be dispatched again, at the place that its priority and arrival give it; else as `hold`."""
        live = self._waiting_for_its_first_turn(task_id)
        if live is not None and live.task.held:
            self._mark_held(live.task, held=False)
            self.dispatcher.add(live.task)
        return live is not None

    def _waiting_for_its_first_turn(self, task_id: int) -> LiveTask | None:
        live = self._live.get(task_id)
        return None if live is None or live.runner is not None or live.ending or self._life.over else live

    def _mark_held(self, task: Task, *, held: bool) -> None:
        task.held = held
        self.emit(TaskHeld(self.now(), task.id, held))

    def switch_policy(self, policy: str | Policy) -> None:
        """Order what is ready by another policy from now on. Raises UsageError for a name that is none."""
        new = parse_policy(policy) if isinstance(policy, str) else policy
        previous = self.policy.name
        if new.name != previous:
            self.dispatcher.switch(new)
            self.emit(PolicyChanged(self.now(), new.name, previous))

    # -- for running tasks (turn.py) -----------------------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        self._bus.publish(event)

    def emit(self, event: Durable) -> None:
        """Have an event written, and tell the subscribers."""
        self._store.append(event)
        self._bus.publish(event)

    def quarantine(self, place: KernelSlot, reason: str) -> None:
        slot = self.slots.quarantine(place.slot.id, reason)
        self.publish(SlotChanged(self.now(), slot.id, slot.core, slot.state, slot.reason))

    def relieve(self, place: KernelSlot) -> None:
        """What was lost on a slot has stopped after all; unless its core has said otherwise, it may be used again."""
        if place.quarantined and not self._life.over:
            slot = self.slots.relieve(place.slot.id)
            self.publish(SlotChanged(self.now(), slot.id, slot.core, slot.state, slot.reason))
            self.dispatcher.kick()

    # -- for starting and stopping (life.py) ---------------------------------------------------------------------------

    def take_up(self, task: Task, *, interrupted: bool) -> None:
        """Queue a task that an earlier run left."""
        try:
            agent: Agent = self._agents.get(task.spec.agent)
        except UsageError as error:
            agent = _MissingAgent(task.spec.agent, str(error))
        live = LiveTask(task, agent, interrupted=interrupted)
        event = live.recovered(self.now())
        self._enqueue(live)
        self.publish(event)
        if task.held:
            self.publish(TaskHeld(event.at, task.id, True))

    def interrupt_all(self) -> list[asyncio.Task[None]]:
        """Interrupt what runs; returns what to wait for. Ends that a full disk can't take are not waited for."""
        runners = []
        for live in list(self._live.values()):
            if live.runner is not None:
                live.stopping = not live.ending and live.cancelled is None
                self._interrupt(live)
                if self._life.trouble is None or not live.ending:
                    runners.append(live.runner)
        return runners

    def leave_all(self) -> None:
        """Tell those who wait for a task that it will not end now, and the subscribers that there is nothing more."""
        for live in self._live.values():
            if live.ended is not None and not live.ended.done():
                live.ended.set_exception(_left(live))
                live.ended.exception()  # a waiter that has gone is no error
        self._bus.close()

    # -- dispatching ---------------------------------------------------------------------------------------------------

    def _begin(self, task_id: int, place: KernelSlot) -> None:
        """A task's first turn came: its agent starts, on this slot."""
        live = self._live[task_id]
        self._dispatched += 1
        task = live.task
        task.state = TaskState.RUNNING
        task.started_at = self.now()
        task.dispatch_order = self._dispatched
        task.round_total = live.agent.round_total
        self._running.add(task_id)
        self.emit(TaskStarted(task.started_at, task_id, task.dispatch_order, task.round_total))
        live.turn = turn = TaskRun(self, live, place)
        live.runner = asyncio.create_task(self._carry_out(live, turn), name=f"task {task_id}")
        # After the agent's first step: a slot it has not used by then serves others.
        asyncio.get_running_loop().call_soon(turn.give_back)

    def _must_wait(self, id_: SyscallId) -> None:
        task_id, round_ = id_
        self.publish(SyscallReady(self._live[task_id].waiting[round_], task_id, round_))

    def _enqueue(self, live: LiveTask) -> None:
        self._live[live.task.id] = live
        if not live.task.held:
            self.dispatcher.add(live.task)

    # -- the end of a task ---------------------------------------------------------------------------------------------

    async def _carry_out(self, live: LiveTask, turn: TaskRun) -> None:
        state, result, error = TaskState.FAILED, None, None
        try:
            try:
                answer = await live.agent.run(turn)
            finally:
                await turn.close()
            result, state = sanitise(answer["result"]), TaskState.DONE
        except asyncio.CancelledError:
            if live.stopping:
                self._requeue(live)
                return
            state = TaskState.CANCELLED if live.cancelled is not None else TaskState.FAILED
            error = live.cancelled or f"agent {live.task.spec.agent}: it cancelled itself"
        except AiosError as failure:
            error = one_line(str(failure))
        except (GeneratorExit, KeyboardInterrupt):
            raise  # not the agent's: the loop is going
        except BaseException as failure:
            log.exception("agent %s failed in task %d", live.task.spec.agent, live.task.id)
            error = one_line(f"agent {live.task.spec.agent}: {described(failure)}")
        finally:
            turn.give_back()
        live.ending = True
        await self._end(live, state, result=result, error=error)

    async def _end(
        self, live: LiveTask, state: TaskState, *, result: str | None = None, error: str | None = None
    ) -> None:
        """Persist, then finalise, then tell."""
        task = live.task
        final = replace(task, state=state, ended_at=self.now(), result=result, error=error, held=False)
        event = TaskEnded(final.ended_at or 0.0, task.id, state, final)
        try:
            await self._store.commit([event])
        except StoreError as failure:
            log.error("the end of task %d is not in the history: %s", task.id, failure)  # noqa: TRY400
            self.publish(Notice(self.now(), "error", f"the end of task {task.id} is not in the history: {failure}"))
        live.task = final
        self._forget(live)
        self._recent[task.id] = final
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        self.publish(event)
        if live.ended is not None and not live.ended.done():
            live.ended.set_result(final)

    def _interrupt(self, live: LiveTask) -> None:
        """Cancel a running task's agent: after its first step, without which it can't clean up, and not in its end."""

        def cancel() -> None:
            if live.runner is not None and not live.ending:
                live.runner.cancel()

        asyncio.get_running_loop().call_soon(cancel)

    def _requeue(self, live: LiveTask) -> None:
        self._running.discard(live.task.id)
        live.runner = None
        live.interrupted = True
        self.emit(TaskRequeued(self.now(), live.task.id, "the program was stopped"))
        self._life.tell_quiet()

    def _forget(self, live: LiveTask) -> None:
        self._live.pop(live.task.id, None)
        self._running.discard(live.task.id)
        self._life.tell_quiet()


def _left(live: LiveTask) -> KernelClosed:
    """Why nobody need wait for a task any longer, once the kernel has stopped."""
    if live.ending:
        return KernelClosed(f"task {live.task.id}: the kernel was stopped before its end was in the history")
    return KernelClosed(f"task {live.task.id} stays queued: the kernel was stopped")


class _MissingAgent:
    """Stands for an agent that is no longer in the catalogue: the tasks left for it fail with that reason."""

    description = "no longer in the catalogue"
    round_total = None

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    async def run(self, ctx: AgentContext) -> AgentResult:
        raise UsageError(self._reason)
