"""Shared services of one kernel: its cores, settings, clock, store, dispatcher, core monitor and event bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.cores.port import Core, CoreInfo
from engine.events import Durable, Event
from engine.kernel.clock import unix_clock
from engine.kernel.config import KernelConfig
from engine.kernel.core_monitor import CoreMonitor
from engine.kernel.dispatcher import Dispatcher
from engine.kernel.event_bus import EventBus
from engine.scheduling import Policy
from engine.store import Store


class Services:
    """One instance per kernel. It knows cores, slots and ids, but no tasks: those are in the task table above it."""

    def __init__(
        self,
        *,
        cores: Sequence[Core],
        store: Store,
        policy: Policy,
        config: KernelConfig | None,
        now: Callable[[], float] | None,
    ) -> None:
        self.cores = tuple(cores)
        self.config = config or KernelConfig()
        self.now = now or unix_clock()
        self.store = store
        self.bus = EventBus()
        self.publish: Callable[[Event], None] = self.bus.publish
        self.dispatcher = Dispatcher(policy, self.publish, self.now)
        self.slots = self.dispatcher.slots
        self.monitor = CoreMonitor(self.dispatcher, self.publish, self.now)

    def emit(self, event: Durable) -> None:
        """Append the event to the history and publish it to the subscribers."""
        self.store.append(event)
        self.publish(event)

    def info_of(self, core: Core) -> CoreInfo | None:
        """The result of the last inspection of the core; None before the first."""
        return self.monitor.infos.get(core.name)
