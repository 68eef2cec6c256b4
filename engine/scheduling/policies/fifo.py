"""First in, first out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.scheduling.policy import Rankable
from engine.scheduling.registry import register


@register("fifo")
@dataclass(frozen=True, slots=True)
class Fifo:
    """Orders by arrival alone; priorities are kept but do not count."""

    name: ClassVar[str] = "fifo"

    def rank(self, item: Rankable) -> float:
        return 0.0

    def level(self, item: Rankable) -> float:
        return 0.0
