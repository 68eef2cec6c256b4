"""The kernel's slots: a placement whose slots belong to cores, and follow what the cores report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from engine.cores.port import Core, CoreInfo, Slot, SlotEvent, SlotState
from engine.scheduling.core_models import ModelReport
from engine.scheduling.placement import PlacedSlot, Placement


@dataclass(slots=True, eq=False)
class KernelSlot(PlacedSlot):
    """A placed slot with its core. `slot` is its state as the core reported it, or suspect while quarantined."""

    core: Core = field(kw_only=True)
    slot: Slot = field(kw_only=True)


class SlotTable(Placement[KernelSlot]):
    """All slots of all cores, in their order."""

    def add(self, core: Core) -> None:
        """Add a core with its slots as they are now."""
        slots = core.slots()
        self.add_core(
            core.name,
            [KernelSlot(s.id, s.core, usable=s.state is SlotState.UP, core=core, slot=s) for s in slots],
        )

    def learn(self, info: CoreInfo, *, up: bool) -> None:
        """Record the models that a core reports. `up`: what `up` returned when the inspection began."""
        names = {alias: model.name for model in info.models for alias in model.aliases}
        report = ModelReport(
            names=names | {model.name: model.name for model in info.models},
            loaded=tuple(model.name for model in info.models if model.loaded),
            default=info.default_model,
            memory=1 if info.one_model else None,
        )
        seen = up or info.healthy or bool(info.models or info.version)
        self.models[info.name].learn(report, self.begun(info.name), healthy=info.healthy, seen=seen)

    def up(self, core: Core) -> bool:
        """Return True when a slot of the core is up."""
        return any(slot.slot.state is SlotState.UP for slot in self if slot.core is core)

    def quarantine(self, slot: KernelSlot, reason: str) -> Slot:
        """Set a slot aside because its attempt is lost; returns its new state."""
        self.start_quarantine(slot)
        self._change(slot, SlotState.SUSPECT, reason)
        return slot.slot

    def relieve(self, slot: KernelSlot) -> Slot:
        """End a quarantine because the lost attempt has stopped; returns the slot's new state."""
        self.end_quarantine(slot)
        self._change(slot, SlotState.UP, "")
        return slot.slot

    def apply(self, core: Core, event: SlotEvent) -> Iterable[Slot]:
        """Apply a core's event to its slots; returns the new states of those that changed."""
        state = next((state for state in SlotState if state == event.kind), None)
        if state is None:  # the event is not about slots
            return []
        changing = [slot for slot in self if slot.core is core and event.slot in (None, slot.id)]
        for slot in changing:
            self.end_quarantine(slot)
        return [slot.slot for slot in changing if self._change(slot, state, event.reason)]

    def synchronise(self, core: Core) -> list[Slot]:
        """Read the states of the core's slots ahead of its events; returns those that changed. Quarantine stays."""
        reported = [(self[slot.id], slot) for slot in core.slots()]
        return [slot for own, slot in reported if not own.quarantined and self._change(own, slot.state, slot.reason)]

    def _change(self, slot: KernelSlot, state: SlotState, reason: str) -> bool:
        if (slot.slot.state, slot.slot.reason) == (state, reason):
            return False
        slot.slot = replace(slot.slot, state=state, reason=reason)
        self.set_usable(slot, state is SlotState.UP)
        return True
