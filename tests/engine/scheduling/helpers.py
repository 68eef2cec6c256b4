"""The naive idea of a ready queue: a list that is sorted anew for every question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.scheduling import Fit

POLICIES = ["fifo", "npps", "npps:ageing=0", "npps:ageing=7.5", "npps:ageing=1000"]


@dataclass
class Item:
    """The model's own idea of a ready syscall."""

    id: int
    priority: int
    arrival: float
    seq: int
    model: str = "a"
    passes: int = 0
    passed_at: float | None = None

    @property
    def lane(self) -> tuple[str, bool]:
        return self.model, self.id % 2 == 0


def place(policy: str) -> Callable[[Item], tuple[float, int]]:
    """The order that the policy's name promises, written down independently of the policies' code."""
    name = policy.partition("affinity")[0].rstrip(":,")
    if name == "fifo":
        return lambda item: (0, item.seq)
    if name == "npps":
        return lambda item: (item.priority, item.seq)
    ageing = float(name.partition("=")[2])
    return lambda item: (item.arrival + item.priority * ageing, item.seq)


def urgency(policy: str) -> Callable[[Item], int]:
    """What may not be passed by a greater one."""
    return (lambda item: 0) if policy.startswith("fifo") else lambda item: item.priority


def bounds(policy: str) -> tuple[float, float]:
    """(passes, seconds) that a name gives a head to be passed; (0, ∞) without affinity."""
    parts = [part.rpartition(":")[2].partition("=") for part in policy.split(",")]
    found = {key: float(value) for key, _, value in parts if value}
    seconds = found.get("affinity_s", float("inf"))
    return found.get("affinity", float("inf") if "affinity_s" in found else 0), seconds


Capacity = Sequence[Callable[[Item], Fit]]


def choose(items: list[Item], policy: str, offers: Capacity, now: float) -> tuple[Item, int, Item | None] | None:
    """What goes next, where, and whom it passes, by looking at everything."""
    ordered = sorted(items, key=place(policy))
    kept: set[int] = set()
    seen: set[object] = set()
    for at, head in enumerate(ordered):
        if head.lane in seen:
            continue
        seen.add(head.lane)
        options = sorted((offers[n](head), n) for n in range(len(offers)) if n not in kept)
        options = [(fit, n) for fit, n in options if fit is not Fit.NEVER]
        if not options:
            continue
        passes, seconds = bounds(policy)
        patient = head.passes < passes and (head.passed_at is None or now - head.passed_at < seconds)
        if options[0][0] in (Fit.SWAP, Fit.DRAIN) and patient:
            after = {n: _after(ordered[at:], offers[n], urgency(policy)) for _, n in options}
            free = [n for fit, n in options if fit is Fit.SWAP and after[n] is None]
            if free:
                return head, free[0], None
            for _, n in options:
                if (item := after[n]) is not None:
                    return item, n, head
        if options[0][0] is not Fit.DRAIN:
            return head, options[0][1], None
        kept.add(options[0][1])
    return None


def _after(ordered: list[Item], offer: Callable[[Item], Fit], level: Callable[[Item], int]) -> Item | None:
    for at, item in enumerate(ordered[1:], 1):
        passed = [other for other in ordered[:at] if offer(other) is not Fit.NEVER]
        if offer(item) is Fit.HELD and all(level(item) <= level(other) for other in passed):
            return item
    return None
