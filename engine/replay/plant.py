"""What there is to execute on, in virtual time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Plant:
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
    """Which slots are free, and what model each holds."""

    def __init__(self, plant: Plant, models: list[str]) -> None:
        self.load_s = [0.0, *(plant.load_s.get(name, plant.default_load_s) for name in models[1:])]
        self.free = list(range(plant.slots))
        self.holds = [0] * plant.slots
        self.swaps = 0
        self.loading_s = 0.0

    def take(self, model: int) -> tuple[int, float]:
        """Take the free slot that suits `model` best: its number, and the seconds it loads first."""
        holds = self.holds
        best = (
            min(self.free, key=lambda slot: (holds[slot] != model, holds[slot] != 0, slot)) if model else min(self.free)
        )
        self.free.remove(best)
        if not model or holds[best] == model:
            return best, 0.0
        self.swaps += holds[best] != 0
        holds[best] = model
        self.loading_s += self.load_s[model]
        return best, self.load_s[model]
