"""Which slot of which core is free, busy or out of use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.cores.port import Core, CoreInfo, Slot, SlotEvent, SlotState


@dataclass(slots=True)
class Place:
    """A slot as the kernel keeps it. `quarantined`: an attempt was lost on it, so it waits for the core's word, or for
    that attempt's end."""

    core: Core
    slot: Slot
    busy: bool = False
    quarantined: bool = False

    @property
    def free(self) -> bool:
        return not self.busy and self.slot.state is SlotState.UP


class SlotTable:
    """All slots of all cores, in their order."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._models: dict[str, frozenset[str]] = {}
        self._cores: dict[str, Core] = {}

    def add(self, core: Core) -> None:
        self._cores[core.name] = core
        for slot in core.slots():
            self._places[slot.id] = Place(core, slot)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def place(self, slot: str) -> Place:
        return self._places[slot]

    @property
    def one_core(self) -> bool:
        return len(self._cores) <= 1

    def learn(self, info: CoreInfo) -> None:
        """Take note of the models that a core says it has. One that is down says nothing, and still has them."""
        if info.healthy or info.models or info.name not in self._models:
            self._models[info.name] = frozenset(model.name for model in info.models)

    def any_free(self) -> bool:
        return any(place.free for place in self)

    def suits(self, core: Core, model: str | None) -> bool:
        """Whether the core may be asked for the model: it has it, or no core is known to have it."""
        if model is None or self.one_core:
            return True
        holders = [name for name, models in self._models.items() if model in models]
        return not holders or core.name in holders

    def free_for(self, model: str | None) -> Place | None:
        """The first free slot that may serve the model."""
        return next((place for place in self if place.free and self.suits(place.core, model)), None)

    def quarantine(self, slot: str, reason: str) -> Slot:
        place = self._places[slot]
        place.quarantined = True
        place.slot = replace(place.slot, state=SlotState.SUSPECT, reason=reason)
        return place.slot

    def relieve(self, slot: str) -> Slot:
        place = self._places[slot]
        place.quarantined = False
        place.slot = replace(place.slot, state=SlotState.UP, reason="")
        return place.slot

    def apply(self, core: Core, event: SlotEvent) -> Iterable[Slot]:
        """Take a core's word on its slots; returns those that changed."""
        if event.kind == "models":
            return []
        state = SlotState(event.kind)
        changed: list[Slot] = []
        for place in self._of(core, event.slot):
            place.quarantined = False
            if (place.slot.state, place.slot.reason) != (state, event.reason):
                place.slot = replace(place.slot, state=state, reason=event.reason)
                changed.append(place.slot)
        return changed

    def _of(self, core: Core, slot: str | None) -> Sequence[Place]:
        return [place for place in self if place.core is core and slot in (None, place.slot.id)]
