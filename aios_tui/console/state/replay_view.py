"""A live replay as the console draws it. Imported at start-up, so it imports nothing of the engine."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplayView:
    """The progress of a replay. `elapsed`: seconds by the clock; `position` and `span`: seconds of the workload."""

    name: str
    total: int
    sent: int = 0
    ended: int = 0
    failed: int = 0
    elapsed: float = 0.0
    position: float = 0.0
    span: float = 0.0
    speed: float = 1.0
    paused: bool = False

    @property
    def all_sent(self) -> bool:
        return self.sent >= self.total


def speed_text(speed: float) -> str:
    """Write a speed: `2×`, or `full speed`."""
    return "full speed" if math.isinf(speed) else f"{speed:g}×"
