"""The ready queue as the operator sees it: what runs next first, as the scheduler says, then the policy's own order.

The guarantee: the first `HEAD` lines of the queue pane are the tasks that will be dispatched next, in that order, with
affinity and loaded models taken into account. Only the scheduler knows this order (`Kernel.upcoming`): it depends on
which models are in memory and on how often a task has been passed, and it may change although no task did.

The order is kept in two parts. `head` is the scheduler's answer, a short list. `rest` holds every other task, sorted by
(held, rank, arrival number), where the rank is the policy's. That stands in for an answer that costs too much: with
10,000 tasks, simulating dispatch to the end takes longer than a frame, and what happens until then changes it anyway.

A sorted list keeps `rest`, because all of these have to be quick while thousands of tasks arrive and leave: insert and
remove (O(log n)), the n-th task and the place of a task (O(log n), for scrolling and for the cursor, which stays on its
task). A heap gives only the first task; sorting 10,000 tasks for each frame costs 6 ms.

Between two answers of the scheduler, a new or changed task takes its place in `rest`; the bridge asks again before the
next frame is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from sortedcontainers import SortedKeyList, SortedList

from engine.scheduling import Policy, parse_policy

HEAD = 100
"""Tasks that the scheduler is asked for; more lines than a terminal has, almost always."""

Key = tuple[bool, float, int]
"""(held, rank, arrival number)."""


class ReadyTask(Protocol):
    """A task in the ready queue: what a policy ranks by, the arrival number, and since when it is ready."""

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
    """Tasks in the order in which they will run, held ones after the ready ones.

    Adding, removing and indexing cost O(log n), a switch O(n log n).

    A task's rank is remembered as it was when the task was added, so `discard` finds it after its priority changed.
    """

    __slots__ = ("_ages", "_head", "_held", "_keys", "_places", "_policy", "_rest", "_since")

    def __init__(self, policy: str = "npps") -> None:
        self._policy: Policy = parse_policy(policy)
        self._keys: dict[int, Key] = {}
        self._head: list[int] = []
        self._places: dict[int, int] = {}  # of each task in the head
        self._rest: SortedKeyList[int, Key] = SortedKeyList(key=self._keys.__getitem__)
        self._since: dict[int, float] = {}  # ready tasks only
        self._held: set[int] = set()
        self._ages: SortedList[tuple[float, int]] = SortedList()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, task: int) -> bool:
        return task in self._keys

    def __iter__(self) -> Iterator[int]:
        yield from self._head
        yield from self._rest

    def __getitem__(self, index: int) -> int:
        return self._head[index] if index < len(self._head) else self._rest[index - len(self._head)]

    def index(self, task: int) -> int | None:
        """The position of a task, counted from 0; None when it is not in the queue."""
        if task not in self._keys:
            return None
        place = self._places.get(task)
        return len(self._head) + self._rest.bisect_key_left(self._keys[task]) if place is None else place

    def add(self, task: ReadyTask) -> None:
        """Insert a task at its place, or move it to the place that its priority gives it now."""
        self.discard(task.id)
        self._keys[task.id] = self._key(task)
        self._rest.add(task.id)
        if task.held:
            self._held.add(task.id)
            return
        self._since[task.id] = since = task.arrival if task.ready_since is None else task.ready_since
        self._ages.add((since, task.id))

    def discard(self, task: int) -> bool:
        """Remove a task; False when it is not in the queue."""
        if task not in self._keys:
            return False
        if task in self._places:
            self._set_head([each for each in self._head if each != task])
        else:
            self._rest.remove(task)
        del self._keys[task]
        if task in self._held:
            self._held.remove(task)
        else:
            self._ages.remove((self._since.pop(task), task))
        return True

    def lead_with(self, upcoming: Iterable[int]) -> bool:
        """Put these tasks first, in this order; returns True if that changed the order.

        A task given twice counts once. Tasks that are not in the queue, or held, are left out: the kernel may be ahead
        of the events folded so far.
        """
        head = [task for task in dict.fromkeys(upcoming) if task in self._since]
        if head == self._head:
            return False
        before, after = set(self._head), set(head)
        self._rest.update(before - after)
        for task in after - before:
            self._rest.remove(task)
        self._set_head(head)
        return True

    @property
    def held(self) -> int:
        """The number of held tasks."""
        return len(self._held)

    @property
    def ready(self) -> int:
        """The number of ready tasks."""
        return len(self._since)

    def oldest(self) -> float | None:
        """Return the earliest time at which a ready task became ready; None when none is ready."""
        return self._ages[0][0] if self._ages else None

    def switch(self, policy: str, tasks: Iterable[ReadyTask]) -> None:
        """Order by another policy. `tasks` are the same tasks that are in the queue now."""
        self._policy = parse_policy(policy)
        self._keys = {task.id: self._key(task) for task in tasks}
        self._set_head([])
        self._rest = SortedKeyList(self._keys, key=self._keys.__getitem__)

    def _set_head(self, head: list[int]) -> None:
        self._head = head
        self._places = {task: place for place, task in enumerate(head)}

    def _key(self, task: ReadyTask) -> Key:
        return task.held, self._policy.rank(task), task.id
