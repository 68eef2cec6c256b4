"""Which slot of which core is free, busy or out of use, and what models each core has and holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.cores.port import Core, CoreInfo, Slot, SlotEvent, SlotState
from engine.kernel.core_models import CoreModels
from engine.scheduling import Fit


@dataclass(slots=True)
class KernelSlot:
    """A slot as the kernel keeps it.

    Attributes:
        busy: an attempt has it, or is about to. model: of that attempt, by the core's own name; None when not known.
        quarantined: an attempt was lost on it, so it waits for the core's word, or for that attempt's end.
        lost: the model of that attempt, which may execute until then.
    """

    core: Core
    slot: Slot
    busy: bool = False
    quarantined: bool = False
    model: str | None = None
    lost: str | None = None

    @property
    def free(self) -> bool:
        return not self.busy and self.slot.state is SlotState.UP


class SlotTable:
    """All slots of all cores, in their order."""

    def __init__(self) -> None:
        self._places: dict[str, KernelSlot] = {}
        self.models: dict[str, CoreModels] = {}

    def add(self, core: Core) -> None:
        self.models[core.name] = CoreModels()
        for slot in core.slots():
            self._places[slot.id] = KernelSlot(core, slot)

    def __iter__(self) -> Iterator[KernelSlot]:
        return iter(self._places.values())

    def place(self, slot: str) -> KernelSlot:
        return self._places[slot]

    @property
    def one_core(self) -> bool:
        return len(self.models) <= 1

    @property
    def alike(self) -> bool:
        """Whether any slot does for any model: there is one core, and it holds several models at a time."""
        return len(self.models) == 1 and not any(models.one_at_a_time for models in self.models.values())

    def learn(self, info: CoreInfo, *, up: bool) -> None:
        """Take note of the models that a core says it has, and holds. One that is down says nothing.

        `up`: what `up` said when the look began.
        """
        self.models[info.name].learn(info, self._executing(info.name), up=up)

    def up(self, core: Core) -> bool:
        """Whether a slot of the core is up."""
        return any(place.slot.state is SlotState.UP for place in self if place.core is core)

    def any_free(self) -> bool:
        return any(place.free for place in self)

    def first_free(self) -> list[KernelSlot]:
        """The first free slot of each core that has one."""
        found: dict[str, KernelSlot] = {}
        for place in self:
            if place.free:
                found.setdefault(place.slot.core, place)
        return list(found.values())

    def suits(self, core: str, model: str | None) -> bool:
        """Whether the core may be asked for the model: it has it; else, if no core has, it has told none.

        Without a model it is asked for its default, which it may lack. What no core can have is for any to refuse.
        """
        if self.one_core:
            return True
        having = [name for name, models in self.models.items() if models.has(model)]
        having = having or [name for name, models in self.models.items() if models.unknown]
        if model is not None and not self.models[core].seen:
            return False  # it is looked at in a moment, and may not have the model while another one does
        return not having or core in having

    def fit(self, place: KernelSlot, model: str | None) -> Fit:
        """How an attempt with the model suits the slot, but for what is on that slot itself."""
        core = place.slot.core
        if not self.suits(core, model):
            return Fit.NEVER
        return self.models[core].fit(model, self._executing(core, besides=place))

    def occupy(self, place: KernelSlot, model: str | None) -> None:
        """Give the slot to an attempt, which may not have begun."""
        place.busy = True
        place.model = self.models[place.slot.core].own_name(model)

    def vacate(self, place: KernelSlot) -> None:
        place.busy = False
        place.model = None

    def executing(self, core: str) -> set[str]:
        """The models of the attempts that have slots of the core."""
        return self._executing(core)

    def use(self, place: KernelSlot, model: str | None) -> str | None:
        """An attempt begins on a slot that it has; returns the model that goes for it, if that is known."""
        models = self.models[place.slot.core]
        place.model = models.own_name(model)
        return models.use(model)

    def _executing(self, core: str, besides: KernelSlot | None = None) -> set[str]:
        others = [place for place in self if place.slot.core == core and place is not besides]
        models = [place.model for place in others if place.busy] + [place.lost for place in others if place.quarantined]
        return {model for model in models if model is not None}

    def quarantine(self, slot: str, reason: str) -> Slot:
        place = self._places[slot]
        place.quarantined, place.lost = True, place.model
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

    def settle(self, core: Core) -> list[Slot]:
        """Take the core's slots as it has them now, ahead of its events; returns those that changed."""
        changed: list[Slot] = []
        for slot in core.slots():
            place = self._places[slot.id]
            if not place.quarantined and (place.slot.state, place.slot.reason) != (slot.state, slot.reason):
                place.slot = slot
                changed.append(slot)
        return changed

    def _of(self, core: Core, slot: str | None) -> Sequence[KernelSlot]:
        return [place for place in self if place.core is core and slot in (None, place.slot.id)]
