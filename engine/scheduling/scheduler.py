"""The ready queue under a policy. Plain synchronous data: no clock, no asyncio, no I/O.

The async kernel and the virtual-time simulator drive this same code.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from engine.scheduling.policy import Policy

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True, eq=False)
class Ready(Generic[K]):
    """One ready syscall: its id, and the (priority, arrival) of its task, which it keeps over rounds and retries.

    Attributes:
        id: what the owner knows it by; unique among what is ready.
        priority: 0 (most urgent) … 9.
        arrival: when the task arrived, in seconds on the owner's clock.
        seq: the task's arrival number, which breaks ties.
        model: the model it needs, where the owner has more than one kind of core.
    """

    id: K
    priority: int
    arrival: float
    seq: int
    model: str | None = None
    _token: int = field(default=-1, repr=False)


class Scheduler(Generic[K]):
    """A heap of what is ready, in the order of the current policy. All in O(log n) but where said."""

    __slots__ = ("_heap", "_items", "_policy", "_tokens")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._items: dict[K, Ready[K]] = {}
        # (rank, seq, token, item): the token is unique, and marks the one live heap entry of an item.
        self._heap: list[tuple[float, int, int, Ready[K]]] = []
        self._tokens = count()

    @property
    def policy(self) -> Policy:
        return self._policy

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, id: K) -> bool:
        return id in self._items

    def __iter__(self) -> Iterator[Ready[K]]:
        """What is ready, in no order that means anything."""
        return iter(self._items.values())

    def push(self, item: Ready[K]) -> None:
        """Add a ready syscall. Raises ValueError when its id is ready already."""
        if item.id in self._items:
            raise ValueError(f"{item.id!r} is ready already")
        self._items[item.id] = item
        self._enter(item)

    def pop(self, eligible: Callable[[Ready[K]], bool] | None = None) -> Ready[K] | None:
        """Take the head, or the first that is `eligible`; None when there is none. O(skipped · log n)."""
        skipped: list[tuple[float, int, int, Ready[K]]] = []
        found: Ready[K] | None = None
        heap = self._heap
        while heap:
            entry = heapq.heappop(heap)
            item = entry[3]
            if item._token != entry[2]:
                continue
            if eligible is not None and not eligible(item):
                skipped.append(entry)
                continue
            del self._items[item.id]
            item._token = -1
            found = item
            break
        for entry in skipped:
            heapq.heappush(heap, entry)
        return found

    def remove(self, id: K) -> Ready[K] | None:
        """Take out one item by id, None when it is not ready. Amortised O(1)."""
        item = self._items.pop(id, None)
        if item is not None:
            item._token = -1
            self._compact()
        return item

    def reprioritise(self, id: K, priority: int) -> bool:
        """Give a ready item another priority; False when it is not ready. Its arrival stays."""
        item = self._items.get(id)
        if item is None:
            return False
        item.priority = priority
        self._enter(item)
        self._compact()
        return True

    def switch(self, policy: Policy) -> None:
        """Order what is ready by another policy, in one step. O(n)."""
        self._policy = policy
        self._rebuild()

    def snapshot(self) -> list[Ready[K]]:
        """The order in which what is ready would run if nothing else arrived. O(n log n)."""
        return [entry[3] for entry in sorted(self._heap) if entry[3]._token == entry[2]]

    def _enter(self, item: Ready[K]) -> None:
        item._token = token = next(self._tokens)
        heapq.heappush(self._heap, (self._policy.rank(item), item.seq, token, item))

    def _compact(self) -> None:
        """Keep dead heap entries below the number of live ones."""
        if len(self._heap) > 2 * len(self._items) + 16:
            self._rebuild()

    def _rebuild(self) -> None:
        rank = self._policy.rank
        heap = []
        for item in self._items.values():
            item._token = next(self._tokens)
            heap.append((rank(item), item.seq, item._token, item))
        heapq.heapify(heap)
        self._heap = heap
