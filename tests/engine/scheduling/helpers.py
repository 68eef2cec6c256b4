"""A naive ready queue: a list that is sorted again for every question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

FITS = ("held", "room", "swap", "drain", "never")
"""Fit of an item and a slot, best first: the naive queue's own words and order, not those of the code under test."""

POLICIES = ["fifo", "npps", "npps:ageing=0", "npps:ageing=7.5", "npps:ageing=1000"]


@dataclass
class Item:
    """A ready syscall of the naive queue."""

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


def sort_key(policy: str) -> Callable[[Item], tuple[float, int]]:
    """The order that the policy's name promises, written down independently of the policies' code."""
    name = policy.partition("affinity")[0].rstrip(":,")
    if name == "fifo":
        return lambda item: (0, item.seq)
    if name == "npps":
        return lambda item: (item.priority, item.seq)
    ageing = float(name.partition("=")[2])
    return lambda item: (item.arrival + item.priority * ageing, item.seq)


def urgency(policy: str) -> Callable[[Item], int]:
    """The level of an item; an item of a greater level may not pass it."""
    return (lambda item: 0) if policy.startswith("fifo") else lambda item: item.priority


def bounds(policy: str) -> tuple[float, float]:
    """(passes, seconds) that a name gives a head to be passed; (0, ∞) without affinity."""
    parts = [part.rpartition(":")[2].partition("=") for part in policy.split(",")]
    found = {key: float(value) for key, _, value in parts if value}
    seconds = found.get("affinity_s", float("inf"))
    return found.get("affinity", float("inf") if "affinity_s" in found else 0), seconds


Offers = Sequence[Callable[[Item], str]]


def choose(items: list[Item], policy: str, offers: Offers, now: float) -> tuple[Item, int, Item | None] | None:
    """The item that goes next, where, and whom it passes, by looking at everything."""
    ordered = sorted(items, key=sort_key(policy))
    kept: set[int] = set()
    seen: set[object] = set()
    for at, head in enumerate(ordered):
        if head.lane in seen:
            continue
        seen.add(head.lane)
        options = sorted((FITS.index(offers[n](head)), n) for n in range(len(offers)) if n not in kept)
        named = [(FITS[fit], n) for fit, n in options if FITS[fit] != "never"]
        if not named:
            continue
        passes, seconds = bounds(policy)
        patient = head.passes < passes and (head.passed_at is None or now - head.passed_at < seconds)
        if named[0][0] in ("swap", "drain") and patient:
            after = {n: _after(ordered[at:], offers[n], urgency(policy)) for _, n in named}
            free = [n for fit, n in named if fit == "swap" and after[n] is None]
            if free:
                return head, free[0], None
            for _, n in named:
                if (item := after[n]) is not None:
                    return item, n, head
        if named[0][0] != "drain":
            return head, named[0][1], None
        kept.add(named[0][1])
    return None


def _after(ordered: list[Item], offer: Callable[[Item], str], level: Callable[[Item], int]) -> Item | None:
    for at, item in enumerate(ordered[1:], 1):
        passed = [other for other in ordered[:at] if offer(other) != "never"]
        if offer(item) == "held" and all(level(item) <= level(other) for other in passed):
            return item
    return None
