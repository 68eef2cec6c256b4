"""The ready queue under a policy. Plain synchronous data: no clock, no asyncio, no I/O.

The async kernel and the virtual-time simulator drive this same code.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
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
        passes: how often it was the head and another went first for a model's sake. passed_at: when that first was.
    """

    id: K
    priority: int
    arrival: float
    seq: int
    model: str | None = None
    passes: int = 0
    passed_at: float | None = None
    _token: int = field(default=-1, repr=False)


Entry = tuple[float, int, int, Ready[K]]
"""(rank, seq, token, item): entries sort as the policy orders their items. The token is unique."""


class Scheduler(Generic[K]):
    """A heap of what is ready, in the order of the current policy. All in O(log n) but where said."""

    __slots__ = ("_heap", "_items", "_policy", "_rank", "_tokens")

    def __init__(self, policy: Policy, items: Iterable[Ready[K]] = (), tokens: Iterator[int] | None = None) -> None:
        """`items`: ready from the start, O(n). `tokens`: whole numbers, for schedulers whose entries are compared."""
        self._policy = policy
        self._rank = policy.rank  # bound once: push and pop are what a simulation of millions spends its time in
        self._items: dict[K, Ready[K]] = {item.id: item for item in items}
        self._heap: list[Entry[K]] = []  # an entry is live while it has its item's token
        self._tokens = tokens or count()
        if self._items:
            self._rebuild()

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
        items, key = self._items, item.id
        if key in items:
            raise ValueError(f"{key!r} is ready already")
        items[key] = item
        item._token = token = next(self._tokens)
        heappush(self._heap, (self._rank(item), item.seq, token, item))

    def pop(self) -> Ready[K] | None:
        """Take the head; None when nothing is ready."""
        heap = self._heap
        while heap:
            _, _, token, item = heappop(heap)
            if item._token == token:
                item._token = -1
                del self._items[item.id]
                return item
        return None

    def peek(self) -> Entry[K] | None:
        """The head's entry; None when nothing is ready. Amortised O(1)."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if entry[3]._token == entry[2]:
                return entry
            heappop(heap)
        return None

    def entries(self) -> Iterator[Entry[K]]:
        """What is ready, as entries, in no order that means anything."""
        return (entry for entry in self._heap if entry[3]._token == entry[2])

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
        item._token = token = next(self._tokens)
        heappush(self._heap, (self._rank(item), item.seq, token, item))
        self._compact()
        return True

    def switch(self, policy: Policy) -> None:
        """Order what is ready by another policy, in one step. O(n)."""
        self._policy = policy
        self._rank = policy.rank
        self._rebuild()

    def snapshot(self) -> list[Ready[K]]:
        """The order in which what is ready would run if nothing else arrived. O(n log n)."""
        return [entry[3] for entry in sorted(self.entries())]

    def _compact(self) -> None:
        """Keep dead heap entries below the number of live ones."""
        if len(self._heap) > 2 * len(self._items) + 16:
            self._rebuild()

    def _rebuild(self) -> None:
        rank = self._rank
        heap = []
        for item in self._items.values():
            item._token = next(self._tokens)
            heap.append((rank(item), item.seq, item._token, item))
        heapify(heap)
        self._heap = heap
