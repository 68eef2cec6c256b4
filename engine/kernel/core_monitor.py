"""Keeps the kernel's knowledge of its cores current: health, slots, models in memory.

Two sources: what a core reports of its slots (`follow`), and inspections, whose reasons are in
`inspection_schedule.py`. There is one timer per core, set for the next reason and only then; nothing polls.

The scheduler decides by this knowledge (which model is loaded where), so it must be right when it matters most: when
work arrives at cores that were idle, while other clients used them. Then `work_arrives` inspects stale cores and holds
first dispatches back for that long, at most HOLD_S. Inspecting after the dispatch would be too late, because the first
task would already swap the model.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from engine.cores.port import Core, CoreInfo, Slot, SlotEvent, SlotState
from engine.events import CoreChanged, Event, Notice, SlotChanged
from engine.kernel.dispatcher import Dispatcher
from engine.kernel.inspection_schedule import CoreActivity, due_at
from engine.kernel.slot_table import KernelSlot
from engine.sanitise import describe_error
from engine.scheduling import Affinity

log = logging.getLogger(__name__)

HOLD_S = 0.5
"""Longest time that the dispatch of tasks waits for inspections when work arrives at idle cores."""


class CoreMonitor:
    """Follows the cores, updates the slot table, and publishes the changes.

    Attributes:
        infos: the last inspection of each core, by name.
        on_hold: no task is to be started: stale cores are being inspected first. `on_hold_changed` is called when
            that begins and ends.
    """

    def __init__(self, dispatcher: Dispatcher, publish: Callable[[Event], None], now: Callable[[], float]) -> None:
        self._dispatcher = dispatcher
        self._slots = dispatcher.slots
        self._publish = publish
        self._now = now
        self.infos: dict[str, CoreInfo] = {}
        self.on_hold_changed: Callable[[], None] = lambda: None
        self._activity: defaultdict[str, CoreActivity] = defaultdict(CoreActivity)
        self._followed: dict[str, Core] = {}
        self._inspecting: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()  # cores that changed while they were inspected
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._begun = 0  # inspections begun so far
        self._learnt: dict[str, int] = {}  # by core, the number of the inspection that was learnt last
        self._held_for: set[str] = set()  # cores whose inspection the dispatch of tasks waits for
        self._silent: set[str] = set()  # cores that a hold has waited for in vain, until they answer
        self._hold: asyncio.TimerHandle | None = None

    # -- inspect -------------------------------------------------------------------------------------------------------

    async def inspect(self, cores: Sequence[Core]) -> list[CoreInfo]:
        """Inspect these cores now."""
        self._begun += 1
        number, began = self._begun, self._now()
        was_up = [self._slots.up(core) for core in cores]
        infos = await asyncio.gather(*map(_inspected, cores))
        for core, info, up in zip(cores, infos, was_up, strict=True):
            if number > self._learnt.get(info.name, 0):  # else an inspection that began later was answered earlier
                self._learnt[info.name] = number
                self._learn(core, info, up=up, began=began)
        return infos

    def _learn(self, core: Core, info: CoreInfo, *, up: bool, began: float) -> None:
        self._silent.discard(core.name)
        self.infos[info.name] = info
        self._activity[core.name].learn(info, began=began, ended=self._now())
        self._slots.learn(info, up=up)
        self._dispatcher.kick()
        self._publish(CoreChanged(self._now(), info))
        self._schedule(core)

    def inspect_soon(self, core: Core) -> None:
        """Begin an inspection in the background, or if one is under way, another one after it."""
        if core.name not in self._followed:
            return
        self._cancel_timer(core)
        self._activity[core.name].requested_at = self._now()
        if core.name not in self._inspecting:
            self._inspecting[core.name] = asyncio.create_task(self._inspect_one(core), name=f"inspect {core.name}")
        else:
            self._again.add(core.name)

    async def _inspect_one(self, core: Core) -> None:
        try:
            await self.inspect([core])
            while core.name in self._again:
                self._again.discard(core.name)
                await self.inspect([core])
        finally:
            del self._inspecting[core.name]
            self._end_hold(core.name)
            self._schedule(core)

    def _schedule(self, core: Core) -> None:
        """Set the core's timer for its next inspection, or begin that now."""
        if core.name not in self._followed or core.name in self._inspecting:
            return  # its end calls this again
        self._cancel_timer(core)
        activity = self._activity[core.name]
        activity.all_down = all(slot.slot.state is SlotState.DOWN for slot in self._slots if slot.core is core)
        due = due_at(activity)
        if due is None:
            return
        delay = due - self._now()
        if delay <= 0:
            self.inspect_soon(core)
        else:
            self._timers[core.name] = asyncio.get_running_loop().call_later(delay, self.inspect_soon, core)

    def _cancel_timer(self, core: Core) -> None:
        if core.name in self._timers:
            self._timers.pop(core.name).cancel()

    # -- reasons -------------------------------------------------------------------------------------------------------

    def attempt_began(self, core: Core) -> None:
        """An attempt executes on the core from now on."""
        activity = self._activity[core.name]
        activity.executing += 1
        if activity.reports and core.name not in self._timers:
            self._schedule(core)

    def attempt_streams(self, core: Core, *, loads: bool) -> None:
        """An attempt got its first token. `loads`: its model had to be loaded, so what is in memory has changed."""
        self._change(core, urgent=loads)

    def attempt_ended(self, core: Core, *, loads: bool, first_token_at: float | None) -> None:
        """An attempt does not execute any more.

        `loads`: its model had to be loaded, and which one was unloaded for it, only the core knows: unless the core was
        inspected since the first token, that is urgent.
        """
        activity = self._activity[core.name]
        activity.executing -= 1
        self._change(core, urgent=loads and (first_token_at is None or activity.began < first_token_at))

    def _change(self, core: Core, *, urgent: bool) -> None:
        activity = self._activity[core.name]
        if urgent:
            activity.urgent_at = self._now()
        elif activity.reports:
            activity.changed_at = self._now()
        else:
            return
        self._schedule(core)

    def work_arrives(self) -> None:
        """A task can be dispatched while no task runs: inspect the cores that are stale, and hold tasks until then.

        Only where the models in memory decide which task goes where: under affinity, and with several cores.
        """
        if self.on_hold or not (len(self._followed) > 1 or isinstance(self._dispatcher.policy, Affinity)):
            return
        now = self._now()
        stale = [core for core in self._followed.values() if self._activity[core.name].is_stale(now)]
        for core in stale:
            self.inspect_soon(core)
        self._held_for = {core.name for core in stale} - self._silent
        if self._held_for:
            self._hold = asyncio.get_running_loop().call_later(HOLD_S, self._end_hold)
            self.on_hold_changed()

    @property
    def on_hold(self) -> bool:
        return self._hold is not None

    def _end_hold(self, core: str | None = None) -> None:
        """End the hold: if no other core than this one is waited for, or, with None, in any case."""
        if core is None:
            self._silent |= self._held_for
        self._held_for = set() if core is None else self._held_for - {core}
        if self._hold is not None and not self._held_for:
            self._hold.cancel()
            self._hold = None
            self.on_hold_changed()

    # -- slots ---------------------------------------------------------------------------------------------------------

    async def follow(self, core: Core, events: AsyncIterator[SlotEvent]) -> None:
        """Follow what a core reports of its slots, until its events end. Inspections never delay that.

        `events` is the core's `events()`, opened before its slots were entered in the table.
        """
        self._followed[core.name] = core
        try:
            async for event in events:
                if event.kind == "notice":
                    self._publish(Notice(self._now(), "warning", event.reason))
                    continue
                self.publish_slots(self._slots.apply(core, event))
                self._dispatcher.kick()
                # An inspection may itself make a core report a change, so that one would lead to the next at once.
                self._change(core, urgent=True)
        finally:
            self._followed.pop(core.name, None)
            self._cancel_timer(core)
            if core.name in self._inspecting:
                self._inspecting[core.name].cancel()

    def update_slots(self, core: Core) -> None:
        """Read the core's slots now, without waiting for its events."""
        self.publish_slots(self._slots.synchronise(core))

    def quarantine(self, slot: KernelSlot, reason: str) -> None:
        """Offer a slot to no task, because an attempt that was lost may still execute on it."""
        self.publish_slots([self._slots.quarantine(slot, reason)])

    def end_quarantine(self, slot: KernelSlot) -> None:
        """Offer a slot again: its lost attempt has ended, and its core has reported nothing else meanwhile."""
        if slot.quarantined and slot.core.name in self._followed:
            self.publish_slots([self._slots.relieve(slot)])
            self._dispatcher.kick()

    def publish_slots(self, slots: Iterable[Slot]) -> None:
        """Publish the states of these slots."""
        for slot in slots:
            self._publish(SlotChanged(self._now(), slot.id, slot.core, slot.state, slot.reason))


async def _inspected(core: Core) -> CoreInfo:
    """The core's report. One that raises is unhealthy: a plug-in's mistake must not cost the kernel its knowledge."""
    try:
        return await core.inspect()
    except Exception as error:
        log.exception("core %s failed while it was inspected", core.name)
        return CoreInfo(core.name, healthy=False, default_model=None, detail=f"inspect failed: {describe_error(error)}")
