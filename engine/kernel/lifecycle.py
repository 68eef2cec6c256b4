"""The states of one kernel from start to stop, and what it may do in each.

    stopped ──start──▶ running ◀──▶ paused            (start --paused begins in paused)
                          │  ▲
                       drain resume
                          ▼  │
                       draining ──▶ running | paused  (a drain ends nothing by itself: someone resumes)
    any ──stop──▶ [draining, with drain_s] ──▶ stopped, for good

Guarantees:

* A stop completes. It waits for agents (the cores' grace plus END_GRACE_S seconds) and for ends that are being written,
  but not while the history can't be written, because a full disk would keep the program from ending. Nothing is lost by
  that: a task whose end is not in the history is still `running` there and the next start queues it again.
* A stop is one asyncio task that every caller of `stop` awaits under a shield. A caller that is cancelled (a second
  Ctrl-C, a closed window) leaves it running, and two callers never stop the same core twice at the same time.
* A failed start leaves nothing running. Cores start in parallel, so that an unreachable host delays the others by no
  more than its own time-out; if one fails, all are stopped again before the error is raised.
* No event of a core is lost at the start: each core's `events()` is opened before its slots are entered in the slot
  table, because recovery may take seconds in a large history and a core can go down meanwhile.
* While the history can't be written, nothing is dispatched. Otherwise tasks would run whose ends could be lost.

`closed` and `over` are two flags because a stop with `drain_s` accepts no new tasks (`closed`) while running ones may
still end, be cancelled or change priority; that ends with `over`. The state STOPPED can't stand for `over`: a kernel is
in that state before its start too, when tasks may be submitted.
"""

from __future__ import annotations

import asyncio
import logging

from engine.errors import KernelClosed
from engine.events import KernelStateChanged, Notice, PolicyChanged
from engine.kernel.services import Services
from engine.kernel.task_table import TaskTable
from engine.store import Recovery
from engine.task import KernelState

log = logging.getLogger(__name__)

END_GRACE_S = 5.0
"""Time that a stop waits for agents to end, in addition to the cores' own time to stop."""


class Lifecycle:
    """Starts and stops one kernel, once, and sets what the dispatcher may do.

    Attributes:
        state: the kernel's state.
        history_error: why the history can't be written, None when it can.
        closed: no tasks are accepted any more.
        over: nothing changes any more; what has not ended is left to the next start.
    """

    def __init__(self, services: Services, tasks: TaskTable) -> None:
        self._services = services
        self._tasks = tasks
        self.state = KernelState.STOPPED
        self.history_error: str | None = None
        self.closed = False
        self.over = False
        self._followers: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None
        self._drain_s = 0.0
        services.monitor.on_hold_changed = self._update_admission

    @property
    def stopped(self) -> bool:
        """True once the kernel has stopped."""
        return self._stopping is not None and self._stopping.done()

    def refuse_if_closed(self) -> None:
        """Raise KernelClosed once a stop has begun."""
        if self.closed:
            raise KernelClosed("the kernel is stopped and accepts no tasks")

    # -- start ---------------------------------------------------------------------------------------------------------

    async def start(self, *, recover: bool, paused: bool) -> Recovery:
        """As `Kernel.start`."""
        try:
            return await self._start(recover=recover, paused=paused)
        except BaseException:
            stopped_before = self.closed
            await self.stop()
            if stopped_before:  # and so perhaps before a core had started
                await self._stop_cores()
            raise

    async def _start(self, *, recover: bool, paused: bool) -> Recovery:
        services = self._services
        failures = await asyncio.gather(*(core.start() for core in services.cores), return_exceptions=True)
        for failure in filter(None, failures):
            raise failure
        self.refuse_if_closed()
        streams = [(core, core.events()) for core in services.cores]  # opened before the slots are entered
        for core in services.cores:
            services.slots.add(core)
        recovery = Recovery()
        if recover:
            recovery = await services.store.recover(max_interruptions=services.config.max_attempts)
            self.refuse_if_closed()
        services.store.on_write_error(self._on_history_error)
        self._followers = [
            asyncio.create_task(services.monitor.follow(core, events), name=f"follow {core.name}")
            for core, events in streams
        ]
        services.monitor.publish_slots(each.slot for each in services.slots)
        services.emit(PolicyChanged(services.now(), services.dispatcher.policy.name, None))
        for task in recovery.queued:
            self._tasks.recover(task, interrupted=task.id in recovery.interrupted)
        self.set(KernelState.PAUSED if paused else KernelState.RUNNING)
        await services.monitor.inspect(services.cores)
        self.refuse_if_closed()
        return recovery

    # -- stop ----------------------------------------------------------------------------------------------------------

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """As `Kernel.stop`."""
        if self._stopping is None:
            self.closed = True
            self._drain_s = drain_s
            self._stopping = asyncio.create_task(self._stop(), name="stop the kernel")
        elif drain_s <= 0:
            self._drain_s = 0.0
            self._tasks.wake_idle_waiters()
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        if self._drain_s > 0 and self._tasks.running_count:
            self.set(KernelState.DRAINING)
            await asyncio.wait([self._tasks.until_idle()], timeout=self._drain_s)
        self.over = True
        self.set(KernelState.STOPPED)
        await self._stop_agents()
        await self._stop_cores()
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)
        self._tasks.fail_waiters()
        self._services.bus.close()

    async def _stop_agents(self) -> None:
        runners = self._tasks.interrupt_all(writable=self.history_error is None)
        if runners:
            _, left = await asyncio.wait(runners, timeout=self._services.config.stop_grace_s + END_GRACE_S)
            for runner in left:
                log.error("%s did not end when the kernel was stopped", runner.get_name())

    async def _stop_cores(self) -> None:
        for core in self._services.cores:
            try:
                await core.stop(drain_s=0)
            except Exception:  # the other cores have to be stopped all the same
                log.exception("core %s could not be stopped", core.name)

    # -- in between ----------------------------------------------------------------------------------------------------

    def set(self, state: KernelState) -> None:
        """Change the state, unless a stop has begun that does not lead through it."""
        ends = (KernelState.STOPPED,) if self.over else (KernelState.STOPPED, KernelState.DRAINING)
        if self.closed and state not in ends:
            return
        if state is not self.state:
            self.state = state
            self._services.publish(KernelStateChanged(self._services.now(), state, ""))
        if state is not KernelState.DRAINING:
            self._tasks.wake_idle_waiters()
        if state is KernelState.RUNNING and self._tasks.queued_count and not self._tasks.running_count:
            self._services.monitor.work_arrives()
        self._update_admission()

    async def drain(self) -> None:
        """As `Kernel.drain`."""
        self.set(KernelState.DRAINING)
        if self._tasks.running_count and self.state is KernelState.DRAINING:
            await self._tasks.until_idle()

    def _update_admission(self) -> None:
        """Let the dispatcher grant slots as far as the kernel's state and the history allow."""
        dispatcher, writable = self._services.dispatcher, self.history_error is None
        dispatcher.admits_tasks = writable and self.state is KernelState.RUNNING
        dispatcher.on_hold = self._services.monitor.on_hold
        dispatcher.admits_rounds = writable and self.state in (KernelState.RUNNING, KernelState.DRAINING)
        dispatcher.kick()

    def _on_history_error(self, reason: str | None) -> None:
        """The history can't be written (None: it can again)."""
        self.history_error = reason
        self._update_admission()
        if reason is not None:
            notice = Notice(self._services.now(), "error", f"dispatching waits: {reason}")
        else:
            notice = Notice(self._services.now(), "info", "the history can be written again; dispatching resumes")
        self._services.publish(notice)
