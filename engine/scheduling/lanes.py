"""A ready queue in lanes, for cores that differ: which item goes next, to which free slot, and which may go first.

Guarantee. The head by the policy goes first, unless it can't go anywhere now, or affinity lets an item pass it that
needs no load. An item passes only what is no more urgent than itself, and a head is passed no more often, and no
longer, than the bound of the policy says; so nothing starves because of its model. The tests hold this against a
naive list (`tests/engine/scheduling/helpers.py`) that looks at every item for every question.

Data structure. A lane is a heap (`scheduler.py`) of the items that suit all slots alike at any time: those of one
model and, in the kernel, of one kind (first turns, rounds). So a look at each lane's head is a look at everything:
items that can't run now are never searched, however many there are. With affinity the level of urgency is part of the
lane's key too, because only the first item of a level matters for passing. The lanes share one counter of tokens, so
entries of different lanes compare, and the head of the whole queue is the least of the lanes' heads.

Keeping a slot. When the head has to wait until another model has stopped executing, it keeps its free slot: if the
slot went to any item that suits it, the drain would never end and the head would starve. Items that affinity lets
pass may still use it, up to the bound.

Looking ahead (`LookAhead`) makes the same choices on lazily read copies, so the queue pane can show what runs next
without sorting 10,000 items: only the lanes' heads are copied, and each step reads one more item of one lane.

Rejected alternatives. One heap, skipping what can't run: O(n) for each dispatch while one core is down. A queue for
each core: a task that several cores can serve would have to choose before it is known which one falls free first.
Passing without a bound: most throughput, but a model that is asked for all the time starves the others.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Generic, Protocol, TypeVar

from engine.scheduling.affinity import Affinity
from engine.scheduling.core_models import Fit
from engine.scheduling.policy import Policy
from engine.scheduling.scheduler import Entry, K, Ready, Scheduler

_C_contra = TypeVar("_C_contra", contravariant=True)


class Offer(Protocol[_C_contra]):
    """A free slot. All items of one lane suit it equally."""

    def fit(self, item: _C_contra) -> Fit:
        """Return the present fit of the item."""


class LaneScheduler(Generic[K]):
    """One queue under one policy, in one heap for each lane, so that items that can't run now are not searched.

    With `l` lanes that are not empty, `push` and `remove` are O(log n), `pop` and `pick` O(l log l + log n).
    """

    __slots__ = ("_lane", "_lanes", "_tokens", "_where", "policy")

    def __init__(self, policy: Policy, lane: Callable[[Ready[K]], Hashable]) -> None:
        """`lane` returns the key of an item's lane; it must depend on nothing that changes while the item waits."""
        self._lane = lane
        self._tokens = count()
        self._lanes: dict[Hashable, Scheduler[K]] = {}
        self._where: dict[K, Scheduler[K]] = {}
        self.policy = policy

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, id: K) -> bool:
        return id in self._where

    def __iter__(self) -> Iterator[Ready[K]]:
        """All ready items, in no particular order."""
        for lane in self._lanes.values():
            yield from lane

    def push(self, item: Ready[K]) -> None:
        """Add a ready item. Raises ValueError when its id is in the queue."""
        if item.id in self._where:
            raise ValueError(f"{item.id!r} is ready already")
        key = self._key(item, self.policy)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Scheduler(self.policy, (), self._tokens)
        self._where[item.id] = lane
        lane.push(item)

    def pop(self) -> Ready[K] | None:
        """Take the head by the policy alone; None when the queue is empty."""
        if len(self._lanes) == 1:
            lane = next(iter(self._lanes.values()))
        elif self._lanes:
            lane = min((entry, lane) for lane in self._lanes.values() if (entry := lane.peek()) is not None)[1]
        else:
            return None
        head = lane.pop()
        if head is not None:
            self._forget(head, lane)
        return head

    def pick(self, offers: Sequence[Offer[Ready[K]]], now: float) -> tuple[Ready[K], int] | None:
        """Take the item that goes next, with the index of its offer; None when no item can go.

        The head by the policy takes the offer that suits it best, earlier offers before later ones. Under affinity,
        where it needs another model loaded, the first later item goes that does not, unless that would pass a more
        urgent one; the head then counts a pass. `now` in seconds, for affinity's bound in time from the first pass. A
        head that has to wait for a drain keeps an offer free, for itself and what the bound lets pass.
        """
        choice = _choose(self.heads(), offers, self.policy, now)
        if choice is not None:
            self.remove(choice[0].id)
        return choice

    def heads(self) -> list[Entry[K]]:
        """The head of each lane, in the order of the policy."""
        return sorted(entry for lane in self._lanes.values() if (entry := lane.peek()) is not None)

    def look_ahead(self) -> LookAhead[K]:
        """A copy to take items from. It is valid until the queue changes. O(l log l)."""
        return LookAhead(self.policy, self._lanes.values())

    def remove(self, id: K) -> Ready[K] | None:
        """Take out one item by id; None when it is not in the queue. Amortised O(1)."""
        lane = self._where.get(id)
        if lane is None:
            return None
        item = lane.remove(id)
        if item is not None:
            self._forget(item, lane)
        return item

    def reprioritise(self, id: K, priority: int) -> bool:
        """Give an item another priority; False when it is not in the queue. Its arrival and its passes stay."""
        item = self.remove(id)
        if item is None:
            return False
        item.priority = priority
        self.push(item)
        return True

    def switch(self, policy: Policy) -> None:
        """Reorder the queue by another policy, in one step. O(n). If the policy raises, the queue stays as it was."""
        items: dict[Hashable, list[Ready[K]]] = {}
        for item in self:
            policy.rank(item)  # a plug-in's may raise: ask before any entry is replaced
            items.setdefault(self._key(item, policy), []).append(item)
        lanes = {key: Scheduler(policy, members, self._tokens) for key, members in items.items()}
        self.policy, self._lanes = policy, lanes
        self._where = {item.id: lane for lane in lanes.values() for item in lane}

    def snapshot(self) -> list[Ready[K]]:
        """The items in the order of the policy, affinity left out. O(n log n)."""
        return [entry[3] for entry in sorted(entry for lane in self._lanes.values() for entry in lane.entries())]

    def _key(self, item: Ready[K], policy: Policy) -> Hashable:
        # Levels decide what may pass a head, so under affinity all items of a lane have one level.
        lane = self._lane(item)
        return (lane, policy.level(item)) if isinstance(policy, Affinity) else lane

    def _forget(self, item: Ready[K], lane: Scheduler[K]) -> None:
        del self._where[item.id]
        if not len(lane):
            del self._lanes[self._key(item, self.policy)]


class LookAhead(Generic[K]):
    """Takes items as a `LaneScheduler` would, from copies, without changing it.

    `pop` and `pick` are O(l + log k) after k items besides what `pick` compares; only items that are reached are read.
    """

    __slots__ = ("_heads", "_lanes", "policy")

    def __init__(self, policy: Policy, lanes: Iterable[Scheduler[K]]) -> None:
        self.policy = policy
        self._heads: list[Entry[K]] = []  # sorted
        self._lanes: dict[K, Iterator[Entry[K]]] = {}  # by the id of its head, the rest of a lane
        for lane in lanes:
            self._advance(lane.in_order())

    def pop(self) -> Ready[K] | None:
        """Take the head by the policy alone; None when no item is left."""
        return self._take(0) if self._heads else None

    def pick(self, offers: Sequence[Offer[Ready[K]]], now: float) -> tuple[Ready[K], int] | None:
        """Take the item that goes next, as `LaneScheduler.pick`."""
        choice = _choose(self._heads, offers, self.policy, now)
        if choice is not None:
            self._take(next(n for n, entry in enumerate(self._heads) if entry[3] is choice[0]))
        return choice

    def _take(self, at: int) -> Ready[K]:
        item = self._heads.pop(at)[3]
        self._advance(self._lanes.pop(item.id))
        return item

    def _advance(self, lane: Iterator[Entry[K]]) -> None:
        """Make the lane's next item one of the heads: a copy, so that passes count for the look ahead only."""
        entry = next(lane, None)
        if entry is not None:
            insort(self._heads, (*entry[:3], replace(entry[3])))
            self._lanes[entry[3].id] = lane


def _choose(
    heads: Sequence[Entry[K]], offers: Sequence[Offer[Ready[K]]], policy: Policy, now: float
) -> tuple[Ready[K], int] | None:
    """Choose among the lanes' heads, sorted by the policy; see `LaneScheduler.pick`. Changes nothing but passes."""
    kept: set[int] = set()
    for position, (_, _, _, head) in enumerate(heads):
        fits = sorted(
            (fit, n) for n, offer in enumerate(offers) if n not in kept and (fit := offer.fit(head)) is not Fit.NEVER
        )
        if not fits:
            continue
        fit, chosen = fits[0]
        may_be_passed = isinstance(policy, Affinity) and policy.lets_pass(head.passes, head.passed_at, now)
        if fit in (Fit.SWAP, Fit.DRAIN) and may_be_passed:
            rest = heads[position + 1 :]
            followers = {n: _first_loaded(head, rest, offers[n], policy) for _, n in fits}
            own = [(fit, n) for fit, n in fits if followers[n] is None and fit is not Fit.DRAIN]
            if own:
                fit, chosen = own[0]
            elif passing := [(item, n) for _, n in fits if (item := followers[n]) is not None]:
                head.passes += 1
                head.passed_at = now if head.passed_at is None else head.passed_at
                return passing[0]
        if fit is not Fit.DRAIN:
            return head, chosen
        kept.add(chosen)
        if len(kept) == len(offers):
            return None
    return None


def _first_loaded(head: Ready[K], rest: Iterable[Entry[K]], offer: Offer[Ready[K]], policy: Policy) -> Ready[K] | None:
    """The first item after the head whose model the offer has loaded, and that passes nothing more urgent there."""
    level = policy.level
    least = level(head)
    for _, _, _, item in rest:
        fit = offer.fit(item)
        if fit is Fit.HELD and level(item) <= least:
            return item
        if fit is not Fit.NEVER:
            least = min(least, level(item))
    return None
