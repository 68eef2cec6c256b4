"""The ready queue as the operator sees it: the policy's own order, kept sorted under single changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from sortedcontainers import SortedKeyList, SortedList

from engine.scheduling import Policy, parse_policy

Key = tuple[bool, float, int]
"""(held, rank, arrival number)."""


class Waiting(Protocol):
    """What stands in the ready queue: the facts a policy ranks by, the arrival number, and since when it is ready."""

    @property
    def id(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def arrival(self) -> float: ...
    @property
    def held(self) -> bool: ...
    @property
    def ready_since(self) -> float | None: ...


class ReadyOrder:
    """Tasks in the order in which they would run, held ones after the ready ones.

    Adding, removing and indexing cost O(log n), a switch O(n log n).

    A task's rank is remembered as it was when it was added, so `discard` finds it even after its priority changed.
    """

    __slots__ = ("_ages", "_held", "_keys", "_list", "_policy", "_since")

    def __init__(self, policy: str = "npps") -> None:
        self._policy: Policy = parse_policy(policy)
        self._keys: dict[int, Key] = {}
        self._list: SortedKeyList[int, Key] = SortedKeyList(key=self._keys.__getitem__)
        self._since: dict[int, float] = {}  # of those that are ready
        self._held: set[int] = set()
        self._ages: SortedList[tuple[float, int]] = SortedList()

    def __len__(self) -> int:
        return len(self._list)

    def __contains__(self, task: int) -> bool:
        return task in self._keys

    def __iter__(self) -> Iterator[int]:
        return iter(self._list)

    def __getitem__(self, index: int) -> int:
        return self._list[index]

    def window(self, start: int, stop: int) -> list[int]:
        """The ids at positions `start` to `stop`, `stop` excluded, without walking the rest."""
        return list(self._list.islice(max(0, start), max(0, stop)))

    def index(self, task: int) -> int | None:
        """The position of a task, counted from 0; None when it is not in the queue."""
        if task not in self._keys:
            return None
        return self._list.bisect_key_left(self._keys[task])

    def add(self, item: Waiting) -> None:
        """Put a task in at its place, or move it to the place its priority gives it now."""
        self.discard(item.id)
        self._keys[item.id] = self._key(item)
        self._list.add(item.id)
        if item.held:
            self._held.add(item.id)
            return
        self._since[item.id] = since = item.arrival if item.ready_since is None else item.ready_since
        self._ages.add((since, item.id))

    def discard(self, task: int) -> bool:
        """Take a task out; False when it is not in the queue."""
        if task not in self._keys:
            return False
        self._list.remove(task)
        del self._keys[task]
        if task in self._held:
            self._held.remove(task)
        else:
            self._ages.remove((self._since.pop(task), task))
        return True

    @property
    def held(self) -> int:
        """How many of them are held."""
        return len(self._held)

    @property
    def ready(self) -> int:
        """How many of them are ready."""
        return len(self._list) - len(self._held)

    def oldest(self) -> float | None:
        """Since when the one that has been ready longest is ready; None when none is."""
        return self._ages[0][0] if self._ages else None

    def switch(self, policy: str, items: Iterable[Waiting]) -> None:
        """Order by another policy. `items` are the same tasks that are in the queue now."""
        self._policy = parse_policy(policy)
        self._keys = {item.id: self._key(item) for item in items}
        self._list = SortedKeyList(self._keys, key=self._keys.__getitem__)

    def _key(self, item: Waiting) -> Key:
        return item.held, self._policy.rank(item), item.id
