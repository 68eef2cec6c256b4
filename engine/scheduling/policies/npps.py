"""Non-preemptive priority scheduling, strict or with linear ageing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.scheduling.policy import Rankable
from engine.scheduling.registry import register

MAX_AGEING_S = 1e9


@register("npps")
@dataclass(frozen=True, slots=True)
class Npps:
    """Orders by (priority, arrival). With `ageing` = T seconds, waiting T seconds makes up for one level of priority.

    Minimising `priority − waited/T` at any moment is the same as minimising the constant `arrival + T·priority`,
    so ageing needs no rescans. T = ∞ is strict NPPS, which can starve the least urgent; any finite T cannot.
    """

    ageing: float = math.inf

    def __post_init__(self) -> None:
        # Beyond the bound ranks run out of digits: first arrivals stop to count, then priorities.
        if not 0 <= self.ageing <= MAX_AGEING_S and self.ageing != math.inf:
            raise ValueError("ageing is a number of seconds per priority level, from 0 to 1e9, or inf")

    @property
    def name(self) -> str:
        return "npps" if math.isinf(self.ageing) else f"npps:ageing={repr(self.ageing).removesuffix('.0')}"

    def rank(self, item: Rankable) -> float:
        if math.isinf(self.ageing):
            return item.priority
        return item.arrival + self.ageing * item.priority

    def level(self, item: Rankable) -> float:
        return item.priority
