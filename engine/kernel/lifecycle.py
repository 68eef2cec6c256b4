"""The kernel's life: its states from start to stop, and those who wait for it to be quiet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from engine.cores.port import Core, CoreInfo
from engine.errors import KernelClosed
from engine.events import Durable, Event, KernelStateChanged, Notice, PolicyChanged, SlotChanged
from engine.kernel.config import KernelConfig
from engine.kernel.core_monitor import CoreMonitor
from engine.kernel.dispatcher import Dispatcher
from engine.kernel.slot_table import SlotTable
from engine.scheduling import Policy
from engine.store import Recovery, Store
from engine.task import KernelState, Task


class LifecycleHost(Protocol):
    """The kernel, as far as starting and stopping it goes."""

    cores: tuple[Core, ...]
    config: KernelConfig
    now: Callable[[], float]
    dispatcher: Dispatcher
    slots: SlotTable
    watch: CoreMonitor

    @property
    def policy(self) -> Policy: ...
    @property
    def running_count(self) -> int: ...
    def publish(self, event: Event) -> None: ...
    def emit(self, event: Durable) -> None: ...
    def take_up(self, task: Task, *, interrupted: bool) -> None: ...
    def interrupt_all(self) -> list[asyncio.Task[None]]: ...
    def leave_all(self) -> None: ...
    async def inspect(self) -> list[CoreInfo]: ...


log = logging.getLogger(__name__)

END_GRACE_S = 5.0
"""How long a stop waits for agents to end, beyond what their cores are given to stop."""


class Lifecycle:
    """Starts and stops one kernel, once, and says what it may do meanwhile.

    Attributes:
        state: what the kernel is at. trouble: why the history can't be written, None when it can.
        closed: nothing more is accepted. over: nothing more goes on.
    """

    def __init__(self, kernel: LifecycleHost, store: Store) -> None:
        self._kernel = kernel
        self._store = store
        self.state = KernelState.STOPPED
        self.trouble: str | None = None
        self.closed = False
        self.over = False
        self._quiet: list[asyncio.Future[None]] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None
        self._drain_s = 0.0

    @property
    def stopped(self) -> bool:
        """Whether a stop has come to its end."""
        return self._stopping is not None and self._stopping.done()

    def refuse_if_closed(self) -> None:
        """Raises KernelClosed once a stop has begun."""
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
        kernel = self._kernel
        # All at once: a host that does not answer keeps the others waiting no longer than it must.
        failures = await asyncio.gather(*(core.start() for core in kernel.cores), return_exceptions=True)
        for failure in filter(None, failures):
            raise failure
        self.refuse_if_closed()
        # Heard from before their slots are taken down, so that what they say while the history is read is not lost.
        said = [(core, core.events()) for core in kernel.cores]
        for core in kernel.cores:
            kernel.slots.add(core)
        recovery = Recovery()
        if recover:
            recovery = await self._store.recover(max_interruptions=kernel.config.max_attempts)
            self.refuse_if_closed()
        self._store.on_trouble(self._on_trouble)
        self._watchers = [
            asyncio.create_task(kernel.watch.follow(core, events), name=f"watch {core.name}") for core, events in said
        ]
        for place in kernel.slots:
            slot = place.slot
            kernel.publish(SlotChanged(kernel.now(), slot.id, slot.core, slot.state, slot.reason))
        kernel.emit(PolicyChanged(kernel.now(), kernel.policy.name, None))
        for task in recovery.queued:
            kernel.take_up(task, interrupted=task.id in recovery.interrupted)
        self.set(KernelState.PAUSED if paused else KernelState.RUNNING)
        await kernel.inspect()
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
            self.tell_quiet(anyhow=True)
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        kernel = self._kernel
        if self._drain_s > 0 and kernel.running_count:
            self.set(KernelState.DRAINING)
            await asyncio.wait([self._until_quiet()], timeout=self._drain_s)
        self.over = True
        self.set(KernelState.STOPPED)
        await self._stop_runners()
        await self._stop_cores()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        kernel.leave_all()

    async def _stop_runners(self) -> None:
        """Interrupt what runs, and wait for it, but not for ever: neither for an agent nor for a full disk."""
        runners = self._kernel.interrupt_all()
        if runners:
            _, left = await asyncio.wait(runners, timeout=self._kernel.config.stop_grace_s + END_GRACE_S)
            for runner in left:
                log.error("%s did not end when the kernel was stopped", runner.get_name())

    async def _stop_cores(self) -> None:
        for core in self._kernel.cores:
            try:
                await core.stop(drain_s=0)
            except Exception:  # one core's trouble is no reason to leave another one running
                log.exception("core %s could not be stopped", core.name)

    # -- in between ----------------------------------------------------------------------------------------------------

    def set(self, state: KernelState) -> None:
        """Go to another state, where a stop has not begun or leads through it."""
        ends = (KernelState.STOPPED,) if self.over else (KernelState.STOPPED, KernelState.DRAINING)
        if self.closed and state not in ends:
            return
        if state is not self.state:
            self.state = state
            self._kernel.publish(KernelStateChanged(self._kernel.now(), state, ""))
        if state is not KernelState.DRAINING:
            self.tell_quiet(anyhow=True)
        self._admit()

    async def drain(self) -> None:
        """As `Kernel.drain`."""
        self.set(KernelState.DRAINING)
        if self._kernel.running_count and self.state is KernelState.DRAINING:
            await self._until_quiet()

    def tell_quiet(self, *, anyhow: bool = False) -> None:
        """Let those go who wait until nothing runs, if nothing does, or `anyhow`."""
        if anyhow or not self._kernel.running_count:
            waiting, self._quiet = self._quiet, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def _until_quiet(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._quiet.append(future)
        return future

    def _admit(self) -> None:
        """Let the dispatcher do what the kernel's state and the history's allow."""
        dispatcher, writable = self._kernel.dispatcher, self.trouble is None
        dispatcher.admits_tasks = writable and self.state is KernelState.RUNNING
        dispatcher.admits_rounds = writable and self.state in (KernelState.RUNNING, KernelState.DRAINING)
        dispatcher.kick()

    def _on_trouble(self, reason: str | None) -> None:
        """The history can't be written: dispatch nothing until it can, so that no end is ever lost."""
        self.trouble = reason
        self._admit()
        if reason is not None:
            notice = Notice(self._kernel.now(), "error", f"dispatching waits: {reason}")
        else:
            notice = Notice(self._kernel.now(), "info", "the history can be written again; dispatching goes on")
        self._kernel.publish(notice)
