"""The public face of the async kernel: submit, watch, control and stop.

`services.py` holds what its parts share, `task_table.py` the tasks, `lifecycle.py` its states; this module checks
arguments and states and passes calls on. docs/architecture.md follows one task through them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.agents.protocol import Agents
from engine.cores.port import Core, CoreInfo
from engine.errors import KernelClosed, UsageError
from engine.events import (
    CoreChanged,
    Event,
    KernelStateChanged,
    PolicyChanged,
    SlotChanged,
    SwapPlanned,
    TaskHeld,
    TaskReprioritised,
)
from engine.kernel.config import KernelConfig
from engine.kernel.dispatcher import SyscallId
from engine.kernel.event_bus import Subscription
from engine.kernel.lifecycle import Lifecycle
from engine.kernel.services import Services
from engine.kernel.task_run import LiveTask
from engine.kernel.task_table import TaskTable, closed_error
from engine.sanitise import one_line
from engine.scheduling import Policy, parse_policy
from engine.store import Recovery, Store
from engine.task import KernelState, Task, TaskSpec, TaskState


class Kernel:
    """Accepts tasks durably, dispatches what is ready onto free slots, and sees each task to its end.

    Everything happens on one event loop. Nothing polls.
    """

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
        self._services = services = Services(cores=cores, store=store, policy=policy, config=config, now=now)
        self._tasks = TaskTable(services, agents)
        self._lifecycle = Lifecycle(services, self._tasks)
        self.cores = services.cores
        self.config = services.config
        self.now = services.now
        self.dispatcher = services.dispatcher
        self.slots = services.slots

    # -- inspect -------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> KernelState:
        return self._lifecycle.state

    @property
    def policy(self) -> Policy:
        return self.dispatcher.policy

    @property
    def running_count(self) -> int:
        """Tasks that have started and not ended."""
        return self._tasks.running_count

    @property
    def queued_count(self) -> int:
        """Tasks that have not started, including held ones."""
        return self._tasks.queued_count

    @property
    def infos(self) -> list[CoreInfo]:
        """The results of the last inspection of each core; `inspect` inspects them now."""
        return list(self._services.monitor.infos.values())

    def info_of(self, core: Core) -> CoreInfo | None:
        """The result of the last inspection of the core; None before the first."""
        return self._services.info_of(core)

    def next_swap(self, core: str | None = None) -> SwapPlanned | None:
        """The next model swap that the ready queue implies: on `core`, or on the first core that has one."""
        planned = self.dispatcher.swaps.planned
        return next(iter(planned.values()), None) if core is None else planned.get(core)

    def upcoming(self, limit: int) -> list[SyscallId]:
        """The next `limit` (task id, round) in dispatch order, if slots fall free one after another.

        Affinity and loaded models are taken into account. Round 0 stands for a task that has not started.
        """
        return self.dispatcher.upcoming(limit)

    def live_tasks(self, limit: int | None = None) -> list[Task]:
        """Copies of the first `limit` tasks that have not ended: running, then queued in dispatch order, then held."""
        return self._tasks.tasks(limit)

    async def find(self, task_id: int) -> Task | None:
        """One task, live or ended, as it is now; None if there is none with this id. Raises StoreError."""
        live = self._tasks.get(task_id)
        return replace(live.task) if live is not None else await self._tasks.find(task_id)

    def subscribe(self, *, capacity: int = 100_000) -> Subscription:
        """Receive every event from now on. With `snapshot()` called next, no event is missed or repeated."""
        return self._services.bus.subscribe(capacity)

    def snapshot(self) -> list[Event]:
        """Events which, folded from an empty state, give the present state."""
        at = self.now()
        events: list[Event] = [
            KernelStateChanged(at, self.state, self._lifecycle.history_error or ""),
            PolicyChanged(at, self.policy.name, None),
        ]
        slots = [each.slot for each in self.slots]
        events += [SlotChanged(at, slot.id, slot.core, slot.state, slot.reason) for slot in slots]
        events += [CoreChanged(at, info) for info in self.infos]
        events += self.dispatcher.swaps.planned.values()
        return events + self._tasks.snapshot()

    async def inspect(self, name: str | None = None) -> list[CoreInfo]:
        """Inspect all cores, or the one with this name, now; subscribers get CoreChanged."""
        return await self._services.monitor.inspect([core for core in self.cores if name in (None, core.name)])

    def publish(self, event: Event) -> None:
        """Send an event to the subscribers; it is not written to the history."""
        self._services.publish(event)

    # -- start and stop ------------------------------------------------------------------------------------------------

    async def start(self, *, recover: bool = True, paused: bool = False) -> Recovery:
        """Start the cores, queue what an earlier run left, and begin to dispatch. Once only.

        Raises:
            CoreError, StoreError: with one line; whatever had been started is stopped again.
            KernelClosed: the kernel was stopped meanwhile.
        """
        return await self._lifecycle.start(recover=recover, paused=paused)

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Accept no more tasks, stop running ones at the model, and leave them and the queue for the next start.

        Running tasks get `drain_s` seconds to end by themselves first. Idempotent: a second call also returns when all
        is stopped, and without `drain_s` it ends the time that the first call gave. A stop continues when its caller is
        cancelled. The store stays open.
        """
        await self._lifecycle.stop(drain_s=drain_s)

    def pause(self) -> None:
        """Grant no more slots until `resume()`; attempts that execute run to the end of their round."""
        self._lifecycle.set(KernelState.PAUSED)

    def resume(self) -> None:
        """Dispatch again after a pause or a drain."""
        self._lifecycle.set(KernelState.RUNNING)

    async def drain(self) -> None:
        """Start no more tasks; return when none runs, or the kernel was resumed or stopped."""
        await self._lifecycle.drain()

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
        self._lifecycle.refuse_if_closed()
        return await self._tasks.accept(list(specs), retry_of)

    async def wait(self, task_id: int) -> Task:
        """Wait until the task has ended, and return it.

        Raises:
            KeyError: there is no such task. KernelClosed: the kernel stopped before the task ended.
        """
        live = self._tasks.get(task_id)
        if live is None:
            task = await self._tasks.find(task_id)
            if task is None or not task.state.ended:
                raise KeyError(task_id)
            return task
        if self._lifecycle.stopped:
            raise closed_error(live)
        return await asyncio.shield(self._tasks.until_ended(live))

    async def cancel(self, task_id: int, reason: str = "cancelled by the operator") -> bool:
        """Cancel a task, at the model too, and return once that is durable.

        False if it has ended or there is no such task, and for tasks that a stop leaves to the next start.
        """
        live = self._changeable(task_id)
        if live is None:
            return False
        live.cancelled = live.cancelled or one_line(reason)
        if live.runner is None:
            await self._tasks.cancel_queued(live, live.cancelled)
            return True
        self._tasks.interrupt(live)
        try:
            return (await self.wait(task_id)).state is TaskState.CANCELLED
        except KernelClosed:
            return False

    async def retry(self, task_id: int) -> int:
        """Submit an ended task's spec again as a new task; returns its id. Raises UsageError if that is impossible."""
        if self._tasks.get(task_id) is not None:
            raise UsageError(f"task {task_id} has not ended; cancel it first")
        task = await self._tasks.find(task_id)
        if task is None:
            raise UsageError(f"there is no task {task_id}")
        spec = task.spec.model_copy(update={"priority": task.priority})
        return (await self.submit_many([spec], retry_of=task_id))[0]

    def reprioritise(self, task_id: int, priority: int) -> bool:
        """Change a task's priority: in the queue, and for the later rounds of a running task.

        False if it has ended, there is no such task, or the kernel is stopped; ValueError outside 0…9.
        """
        if not 0 <= priority <= 9:
            raise ValueError(f"priority {priority} is not one of 0 … 9")
        live = self._changeable(task_id)
        if live is None:
            return False
        previous, live.task.priority = live.task.priority, priority
        if previous != priority:
            for round_ in [0] if live.runner is None else live.waiting:
                self.dispatcher.reprioritise(task_id, round_, priority)
            self._services.emit(TaskReprioritised(self.now(), task_id, priority, previous))
        return True

    def hold(self, task_id: int) -> bool:
        """Keep a queued task from being dispatched until `release`; it keeps its priority and arrival. Idempotent.

        False if it has started or ended, there is no such task, or the kernel is stopped.
        """
        live = self._changeable(task_id, started=False)
        if live is not None and not live.task.held:
            self.dispatcher.withdraw(task_id, 0)
            self._set_held(live.task, held=True)
        return live is not None

    def release(self, task_id: int) -> bool:
        """Let a held task be dispatched again, in the order of its priority and arrival. Returns as `hold` does."""
        live = self._changeable(task_id, started=False)
        if live is not None and live.task.held:
            self._set_held(live.task, held=False)
            self._tasks.make_ready(live)
        return live is not None

    def switch_policy(self, policy: str | Policy) -> None:
        """Order the ready queue by another policy from now on. Raises UsageError for an unknown name."""
        new = parse_policy(policy) if isinstance(policy, str) else policy
        previous = self.policy.name
        if new.name != previous:
            self.dispatcher.switch(new)
            self._services.emit(PolicyChanged(self.now(), new.name, previous))

    def _changeable(self, task_id: int, *, started: bool = True) -> LiveTask | None:
        """The task, unless it has ended or is about to, or the kernel is stopped, or (optionally) it has started."""
        live = self._tasks.get(task_id)
        if live is None or live.ending or self._lifecycle.over or (live.runner is not None and not started):
            return None
        return live

    def _set_held(self, task: Task, *, held: bool) -> None:
        task.held = held
        self._services.emit(TaskHeld(self.now(), task.id, held))
