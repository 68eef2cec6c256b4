"""Placement: which slot of which core a ready syscall may take now, and what that does to the models in memory.

Guarantee. A core never executes more models at once than it holds in memory, a slot never has two attempts, and a
syscall never goes to a core that is known to lack its model while another one has it. The same calls in the same
order give the same choices: there is no clock, no chance, no asyncio and no core object in here. So the kernel and
the simulator drive this one module, and what is simulated is what runs
(`tests/engine/replay/test_live_is_virtual.py`).

Data structure. A slot is a record that says who has it; the cores' free slots are kept sorted by number, and the
models that execute are counted by core. Finding the first free slot of each core is O(cores), the fit of an item O(1)
for one core and O(cores) for several, giving or freeing a slot O(slots of the core) in a sorted list, which is a
memory move.

Order of calls. `occupy` when a slot is given, `use` when the attempt begins, `vacate` when it ends. Between the first
two the model counts as executing but not as loaded: an agent may still name another one, and nothing was asked of the
core yet. Only `use` says that a model leaves memory, which is the one definition of a swap. A core's report that
comes in between is about the models of attempts that have begun, so it must not count the granted one as loaded.

Lost attempts. When an attempt does not stop, its slot is quarantined and its model still counts as executing, because
loading another one beside it could run the server out of memory. That ends with the attempt or by the core's word.

Rejected alternatives. A model per slot, as the simulator once had it: servers keep models per device, so two slots of
a one-model core can't hold two models; the simulator then promised 4 s and no swap where the kernel took 12 s and 3.
Choosing the least loaded core: it would make the order depend on timing, and virtual runs could not reproduce it.
Evicting at `occupy`: an agent that never uses its slot would leave a wrong picture of the core's memory behind.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Generic, TypeVar

from engine.scheduling.affinity import Affinity
from engine.scheduling.core_models import CoreModels, Fit, Load
from engine.scheduling.lanes import LaneScheduler, LookAhead
from engine.scheduling.scheduler import Ready

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True, eq=False)
class PlacedSlot:
    """A slot and who has it.

    Attributes:
        id: unique over all cores. core_name: its core. number: its position among all slots.
        usable: attempts may be given to it.
        busy: an attempt has it, or is about to. begun: the attempt has begun, so its model is loaded or being loaded.
        model: of that attempt, by the core's own name; None if not known.
        granted: rises with each grant, so it orders the busy slots by when they were given.
        quarantined: an attempt was lost on it. lost: the model of that attempt, which may still execute.
    """

    id: str
    core_name: str
    number: int = 0
    usable: bool = True
    busy: bool = False
    begun: bool = False
    model: str | None = None
    granted: int = 0
    quarantined: bool = False
    lost: str | None = None

    @property
    def free(self) -> bool:
        """True if it can be given to an attempt now."""
        return self.usable and not self.busy


S = TypeVar("S", bound=PlacedSlot)
_number = attrgetter("number")


class Placement(Generic[S]):
    """The slots and models of all cores.

    Attributes:
        models: by core name, in the order in which cores were added; free slots are offered in that order.
    """

    def __init__(self) -> None:
        self.models: dict[str, CoreModels] = {}
        self._slots: dict[str, S] = {}
        self._free: dict[str, list[S]] = {}
        self._executing: dict[str, dict[str, int]] = {}
        self._grants = 0

    def add_core(self, name: str, slots: Iterable[S], models: CoreModels | None = None) -> None:
        """Add a core with its slots, which get their numbers here."""
        self.models[name] = models or CoreModels()
        self._executing[name] = {}
        self._free[name] = []
        for slot in slots:
            slot.number = len(self._slots)
            self._slots[slot.id] = slot
            if slot.free:
                self._free[name].append(slot)

    def __iter__(self) -> Iterator[S]:
        return iter(self._slots.values())

    def __getitem__(self, slot_id: str) -> S:
        return self._slots[slot_id]

    @property
    def alike(self) -> bool:
        """True if any free slot does for any model: there is one core, without a known limit of models in memory."""
        return len(self.models) == 1 and all(models.memory is None for models in self.models.values())

    def first_free(self) -> list[S]:
        """The first free slot of each core that has one, in the order of the cores."""
        return [free[0] for free in self._free.values() if free]

    def executing(self, core: str) -> set[str]:
        """Models of the attempts that have slots of the core, and of lost attempts there."""
        return set(self._executing[core])

    def begun(self, core: str) -> set[str]:
        """Models of the attempts that have begun on the core, and of lost attempts there. O(slots)."""
        slots = [slot for slot in self if slot.core_name == core]
        return {name for slot in slots for name in (slot.model if slot.begun else None, slot.lost) if name is not None}

    def suits(self, core: str, model: str | None) -> bool:
        """True if the core may be asked for the model: it has it; or no core has it, and it has reported no models.

        Without a model a core is asked for its default, which it may lack. If no core can have the model, any core may
        be asked, and refuses it.
        """
        if len(self.models) <= 1:
            return True
        having = [name for name, models in self.models.items() if models.has(model)]
        having = having or [name for name, models in self.models.items() if models.unknown]
        if model is not None and not self.models[core].seen:
            return False  # it is inspected in a moment, and may lack the model while another core has it
        return not having or core in having

    def fit(self, slot: S, model: str | None) -> Fit:
        """Return the fit of an attempt with the model and the slot, whatever is on that slot itself."""
        core = slot.core_name
        if not self.suits(core, model):
            return Fit.NEVER
        executing = self._executing[core]
        if slot.model is None and slot.lost is None:
            return self.models[core].fit(model, executing.keys())
        others = {name for name, n in executing.items() if n > (name == slot.model) + (name == slot.lost)}
        return self.models[core].fit(model, others)

    def occupy(self, slot: S, model: str | None) -> None:
        """Give a free slot to an attempt, which may not have begun."""
        self._grants += 1
        slot.granted = self._grants
        self._set(slot, usable=slot.usable, busy=True)
        self._execute(slot, self.models[slot.core_name].own_name(model))

    def use(self, slot: S, model: str | None) -> Load:
        """Record that an attempt with the model begins on a slot that it has; returns the load that this takes."""
        models = self.models[slot.core_name]
        slot.begun = True
        self._execute(slot, models.own_name(model))
        return models.use(model, self._executing[slot.core_name])

    def vacate(self, slot: S) -> None:
        """Take the slot back from its attempt."""
        slot.begun = False
        self._execute(slot, None)
        self._set(slot, usable=slot.usable, busy=False)

    def set_usable(self, slot: S, usable: bool) -> None:
        """Set whether attempts may be given to the slot; an attempt that has it keeps it."""
        self._set(slot, usable=usable, busy=slot.busy)

    def start_quarantine(self, slot: S) -> None:
        """Record that the attempt on the slot is lost: nothing may use the slot, and its model still counts."""
        self.end_quarantine(slot)
        slot.quarantined, slot.lost = True, slot.model
        self._count(slot, slot.lost, 1)
        self.set_usable(slot, False)

    def end_quarantine(self, slot: S) -> None:
        """Record that no lost attempt executes on the slot any more. It stays unusable until `set_usable`."""
        self._count(slot, slot.lost, -1)
        slot.quarantined, slot.lost = False, None

    def copy(self) -> Placement[PlacedSlot]:
        """An independent copy to look ahead with. O(slots + models)."""
        twin: Placement[PlacedSlot] = Placement()
        by_core: dict[str, list[PlacedSlot]] = {name: [] for name in self.models}
        for slot in self:
            values = {name: getattr(slot, name) for name in PlacedSlot.__slots__}
            by_core[slot.core_name].append(PlacedSlot(**values))
        for name, models in self.models.items():
            twin.add_core(name, by_core[name], models.copy())
            twin._executing[name] = self._executing[name].copy()
        twin._grants = self._grants
        return twin

    def _set(self, slot: S, *, usable: bool, busy: bool) -> None:
        free, was_free = self._free[slot.core_name], slot.free
        slot.usable, slot.busy = usable, busy
        if slot.free and not was_free:
            insort(free, slot, key=_number)
        elif was_free and not slot.free:
            del free[bisect_left(free, slot.number, key=_number)]

    def _execute(self, slot: S, model: str | None) -> None:
        if model != slot.model:
            self._count(slot, slot.model, -1)
            self._count(slot, model, 1)
            slot.model = model

    def _count(self, slot: S, model: str | None, change: int) -> None:
        if model is not None:
            counts = self._executing[slot.core_name]
            counts[model] = counts.get(model, 0) + change
            if not counts[model]:
                del counts[model]


@dataclass(slots=True)
class _SlotOffer(Generic[K, S]):
    """The first free slot of a core, as an offer to ready items."""

    placement: Placement[S]
    slot: S
    admits: Callable[[Ready[K]], bool] | None
    _fits: dict[str | None, Fit] = field(default_factory=dict)  # by model: many lanes may have one

    def fit(self, item: Ready[K]) -> Fit:
        if self.admits is not None and not self.admits(item):
            return Fit.NEVER
        fit = self._fits.get(item.model)
        if fit is None:
            fit = self._fits[item.model] = self.placement.fit(self.slot, item.model)
        return fit


def place_next(
    ready: LaneScheduler[K] | LookAhead[K],
    placement: Placement[S],
    now: float,
    admits: Callable[[Ready[K]], bool] | None = None,
) -> tuple[Ready[K], S] | None:
    """Take the item that goes next out of the queue and give it its slot; None when nothing can go now.

    `now` in seconds on the clock of the items' arrivals, for the time limit of affinity. `admits` says whether an item
    may be given a slot at all; without it every item may.
    """
    slots = placement.first_free()
    if not slots:
        return None
    if admits is None and not isinstance(ready.policy, Affinity) and placement.alike:
        head, slot = ready.pop(), slots[0]  # the head by the policy goes to any slot, which is quicker to see
        if head is None:
            return None
    else:
        picked = ready.pick([_SlotOffer(placement, slot, admits) for slot in slots], now)
        if picked is None:
            return None
        head, slot = picked[0], slots[picked[1]]
    placement.occupy(slot, head.model)
    return head, slot


def place_ahead(
    ready: LookAhead[K],
    placement: Placement[PlacedSlot],
    limit: int,
    now: float,
    admits: Callable[[Ready[K]], bool] | None = None,
) -> list[Ready[K]]:
    """The next `limit` items in the order of dispatch, if busy slots fall free in the order in which they were given.

    Changes `ready` and `placement`, so both are copies. Leaves out what can go to no slot even when all are free.
    """
    busy = sorted((slot for slot in placement if slot.busy), key=attrgetter("granted"), reverse=True)
    placed: list[Ready[K]] = []
    while len(placed) < limit:
        begun: list[tuple[PlacedSlot, str | None]] = []
        while len(placed) < limit and (pair := place_next(ready, placement, now, admits)) is not None:
            placed.append(pair[0])
            begun.append((pair[1], pair[0].model))
        for slot, model in begun:  # attempts begin after all free slots were given, as in the kernel
            placement.use(slot, model)
        busy = [*(slot for slot, _ in reversed(begun)), *busy]
        if not busy:
            break
        placement.vacate(busy.pop())
    return placed
