"""Last in, first out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.scheduling.policy import Rankable


@dataclass(frozen=True, slots=True)
class Newest:
    """The latest arrival first; priorities do not count."""

    name: ClassVar[str] = "newest"

    def rank(self, item: Rankable) -> float:
        return -item.arrival

    def level(self, item: Rankable) -> float:
        return 0.0
