"""The ready queue of one lane under a policy. Plain synchronous data: no clock, no asyncio, no I/O.

Guarantee. Items leave in the order of (rank, arrival number), whatever was pushed, removed, re-prioritised or
switched in between; none is lost, none comes twice. The kernel and the simulator drive this same code, so a virtual
run takes the very decisions of a live one. The tests hold it against a list that is sorted again for every question.

Data structure. A binary heap of (rank, arrival number, token, item) with a dictionary of the items by id. A policy's
rank of an item never changes while the item waits: ageing, too, is the constant `arrival + T · priority` (see
`policies/npps.py`), so the heap needs no work as time passes. Push and pop are O(log n), two calls and one rank each,
because a simulation of a million tasks spends most of its time here.

Removal is lazy. An item carries the token of its one live entry; removing it, or pushing it again with another
priority, makes the older entry dead without a search. Dead entries are dropped when they reach the top, and all at
once when they outnumber the live ones, so memory is O(n) and removal O(1) amortised.

Switching the policy is one `heapify`, O(n), in one step: no item is outside the queue for a moment.

Reading in order without taking (`in_order`) walks the heap best first with a second, small heap: the first k entries
cost O(k log k), where sorting all of them would cost O(n log n) for each look at the queue.

Rejected alternatives. A sorted list: insertion moves O(n) entries and a switch sorts. A bucket per priority: wrong
under ageing, and no faster at ten priorities. A heap with positions, for real removal: slower push and pop, which is
what counts. Computing ranks at the time of the pop: O(n) a pop, or a heap whose order is wrong.
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
        id: the owner's key; unique in the queue.
        priority: 0 (most urgent) … 9.
        arrival: when the task arrived, in seconds on the owner's clock.
        seq: the task's arrival number, which breaks ties.
        model: the model it needs; None for a core's default.
        passes: how often it was the head and another item went first because of its model. passed_at: when first.
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
    """A heap of ready items in the order of the current policy. O(log n) unless stated."""

    __slots__ = ("_heap", "_items", "_rank", "_tokens")

    def __init__(self, policy: Policy, items: Iterable[Ready[K]] = (), tokens: Iterator[int] | None = None) -> None:
        """`items` are ready from the start, O(n). `tokens` are whole numbers; schedulers that share them can compare
        their entries.
        """
        self._rank = policy.rank  # bound once: a simulation of a million tasks spends its time in push and pop
        self._items: dict[K, Ready[K]] = {item.id: item for item in items}
        self._heap: list[Entry[K]] = []  # an entry is live while it has its item's token
        self._tokens = tokens or count()
        if self._items:
            self._rebuild()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Ready[K]]:
        """All ready items, in no particular order."""
        return iter(self._items.values())

    def push(self, item: Ready[K]) -> None:
        """Add a ready item. Raises ValueError when its id is in the queue."""
        items, key = self._items, item.id
        if key in items:
            raise ValueError(f"{key!r} is ready already")
        items[key] = item
        item._token = token = next(self._tokens)
        heappush(self._heap, (self._rank(item), item.seq, token, item))

    def pop(self) -> Ready[K] | None:
        """Take the head; None when the queue is empty."""
        heap = self._heap
        while heap:
            _, _, token, item = heappop(heap)
            if item._token == token:
                item._token = -1
                del self._items[item.id]
                return item
        return None

    def peek(self) -> Entry[K] | None:
        """Return the head's entry; None when the queue is empty. Amortised O(1)."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if entry[3]._token == entry[2]:
                return entry
            heappop(heap)
        return None

    def entries(self) -> Iterator[Entry[K]]:
        """All entries, in no particular order."""
        return (entry for entry in self._heap if entry[3]._token == entry[2])

    def in_order(self) -> Iterator[Entry[K]]:
        """Entries from the head on, found as they are asked for: O(k log k) for the first k, dead entries among them.

        The queue must not change while this is read.
        """
        heap = self._heap
        frontier = [(heap[0], 0)] if heap else []
        while frontier:
            entry, at = heappop(frontier)
            for child in range(2 * at + 1, min(2 * at + 3, len(heap))):
                heappush(frontier, (heap[child], child))
            if entry[3]._token == entry[2]:
                yield entry

    def remove(self, id: K) -> Ready[K] | None:
        """Take out one item by id; None when it is not in the queue. Amortised O(1)."""
        item = self._items.pop(id, None)
        if item is not None:
            item._token = -1
            if len(self._heap) > 2 * len(self._items) + 16:  # keep dead entries below the number of live ones
                self._rebuild()
        return item

    def switch(self, policy: Policy) -> None:
        """Reorder the queue by another policy, in one step. O(n)."""
        self._rank = policy.rank
        self._rebuild()

    def snapshot(self) -> list[Ready[K]]:
        """The items in the order in which they would leave if no other arrived. O(n log n)."""
        return [entry[3] for entry in sorted(self.entries())]

    def _rebuild(self) -> None:
        rank = self._rank
        heap = []
        for item in self._items.values():
            item._token = next(self._tokens)
            heap.append((rank(item), item.seq, item._token, item))
        heapify(heap)
        self._heap = heap
