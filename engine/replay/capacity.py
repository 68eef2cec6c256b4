"""What there is to execute on, in virtual time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.scheduling import Fit, Ready


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there is to execute on.

    Attributes:
        slots: how many attempts run at once.
        load_s: seconds to load a model by name; what is not named loads in `default_load_s`. A slot holds one model; a
            task that names another has it loaded first, on a free slot that holds it, else on one that holds none,
            else on the free slot with the lowest number. Tasks that name no model run on whatever is there.
    """

    slots: int = 1
    load_s: Mapping[str, float] = field(default_factory=dict)
    default_load_s: float = 0.0

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError("there is at least one slot")
        if not all(math.isfinite(s) and s >= 0 for s in (*self.load_s.values(), self.default_load_s)):
            raise ValueError("a load time is a number of seconds, 0 or more")

    @property
    def loads(self) -> bool:
        """Whether models have to be told apart."""
        return bool(self.load_s) or self.default_load_s > 0


class Slots:
    """Which slots are free, and what model each holds. Models are numbers, 0 for none."""

    def __init__(self, plant: Capacity, models: Sequence[str]) -> None:
        self.load_s = [0.0, *(plant.load_s.get(name, plant.default_load_s) for name in models[1:])]
        self.free = list(range(plant.slots))
        self.holds = [0] * plant.slots
        self.swaps = 0
        self.loading_s = 0.0

    def take(self, slot: int, model: int) -> float:
        """Take a free slot for `model`; returns the seconds it loads first."""
        self.free.remove(slot)
        if not model or self.holds[slot] == model:
            return 0.0
        self.swaps += self.holds[slot] != 0
        self.holds[slot] = model
        self.loading_s += self.load_s[model]
        return self.load_s[model]

    def fit(self, slot: int, model: int) -> Fit:
        """How a task of `model` suits the slot; one that names none runs on whatever is there."""
        if not model or self.holds[slot] == model:
            return Fit.HELD
        return Fit.SWAP if self.holds[slot] else Fit.ROOM


class FreeSlot:
    """A slot as what it offers to a task, by its index in `model`."""

    __slots__ = ("_model", "_slots", "number")

    def __init__(self, slots: Slots, number: int, model: Sequence[int]) -> None:
        self._slots = slots
        self._model = model
        self.number = number

    def fit(self, item: Ready[int]) -> Fit:
        return self._slots.fit(self.number, self._model[item.id])
