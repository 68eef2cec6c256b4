"""A ready queue in lanes, for cores that are not all alike: which item goes where, and what may go before it.

Plain synchronous data, as the scheduler: the kernel and the simulator drive this same code.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import count
from typing import Generic, Protocol, TypeVar

from engine.scheduling.affinity import Affinity
from engine.scheduling.policy import Policy
from engine.scheduling.scheduler import Entry, K, Ready, Scheduler

_C_contra = TypeVar("_C_contra", contravariant=True)


class Fit(IntEnum):
    """How an item suits a free slot, best first.

    `held`: its model is there. `room`: nothing is, so it is loaded and nothing has to go. `swap`: another model has to
    go. `drain`: another one does, and still executes. `never`: it can't run there, now or at all.
    """

    HELD = 0
    ROOM = 1
    SWAP = 2
    DRAIN = 3
    NEVER = 4


class Offer(Protocol[_C_contra]):
    """A free slot, or a core with one. Items of one lane suit it equally."""

    def fit(self, item: _C_contra) -> Fit:
        """How the item suits it now."""


O = TypeVar("O")  # noqa: E741


class LaneScheduler(Generic[K]):
    """One queue under one policy, kept in a heap a lane, so that what can't run now is not looked through.

    Of `l` lanes that hold something, `push` and `remove` are O(log n), `pop` and `pick` O(l log l + log n).
    """

    __slots__ = ("_affinity", "_lane", "_lanes", "_policy", "_tokens", "_where")

    def __init__(self, policy: Policy, lane: Callable[[Ready[K]], Hashable]) -> None:
        """`lane` says what lane an item is in; it must depend on nothing that changes while the item waits."""
        self._lane = lane
        self._tokens = count()
        self._lanes: dict[Hashable, Scheduler[K]] = {}
        self._where: dict[K, Scheduler[K]] = {}
        self._adopt(policy)

    @property
    def policy(self) -> Policy:
        return self._policy

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, id: K) -> bool:
        return id in self._where

    def __iter__(self) -> Iterator[Ready[K]]:
        """What is ready, in no order that means anything."""
        for lane in self._lanes.values():
            yield from lane

    def push(self, item: Ready[K]) -> None:
        """Add a ready syscall. Raises ValueError when its id is ready already."""
        if item.id in self._where:
            raise ValueError(f"{item.id!r} is ready already")
        lane = self._where[item.id] = self._lane_of(item)
        lane.push(item)

    def pop(self) -> Ready[K] | None:
        """Take the head by the policy alone; None when nothing is ready."""
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
        """Take what goes next, with the index of the offer that it goes to; None when nothing can go.

        The head by the policy goes where it suits best, earlier offers before later ones. Under affinity, where it
        needs another model loaded, the first after it goes that does not, unless something that it would pass is more
        urgent; the head then counts a pass, by which its bound is measured, and in seconds from the first to `now`. A
        head that has to wait until what executes has ended keeps an offer free, for itself or what the bound allows.
        """
        heads, kept = self.heads(), set[int]()
        for place, head in enumerate(heads):
            options = sorted(
                (fit, n)
                for n, offer in enumerate(offers)
                if n not in kept and (fit := offer.fit(head[3])) is not Fit.NEVER
            )
            if not options:
                continue
            fit, chosen = options[0]
            if fit not in (Fit.HELD, Fit.ROOM) and self.may_be_passed(head[3], now):
                followers = {n: self._follower(head, heads[place + 1 :], offers[n]) for _, n in options}
                own = [(fit, n) for fit, n in options if followers[n] is None and fit is not Fit.DRAIN]
                if own:
                    fit, chosen = own[0]
                elif passing := [(n, item) for _, n in options if (item := followers[n]) is not None]:
                    chosen, item = passing[0]
                    self._count_pass(head[3], now)
                    return self._take(item), chosen
            if fit is not Fit.DRAIN:
                return self._take(head[3]), chosen
            kept.add(chosen)
        return None

    def heads(self) -> list[Entry[K]]:
        """The head of each lane, in the order of the policy."""
        return sorted(entry for lane in self._lanes.values() if (entry := lane.peek()) is not None)

    def may_be_passed(self, head: Ready[K], now: float) -> bool:
        """Whether affinity lets something go before it, if it is the head."""
        return self._affinity is not None and self._affinity.lets_pass(head.passes, head.passed_at, now)

    def remove(self, id: K) -> Ready[K] | None:
        """Take out one item by id, None when it is not ready. Amortised O(1)."""
        lane = self._where.get(id)
        if lane is None:
            return None
        item = lane.remove(id)
        if item is not None:
            self._forget(item, lane)
        return item

    def reprioritise(self, id: K, priority: int) -> bool:
        """Give a ready item another priority; False when it is not ready. Its arrival and its passes stay."""
        item = self.remove(id)
        if item is None:
            return False
        item.priority = priority
        self.push(item)
        return True

    def switch(self, policy: Policy) -> None:
        """Order what is ready by another policy, in one step. O(n)."""
        self._adopt(policy)

    def snapshot(self) -> list[Ready[K]]:
        """The order by the policy, affinity left out, in which what is ready would run. O(n log n)."""
        return [entry[3] for entry in sorted(entry for lane in self._lanes.values() for entry in lane.entries())]

    def _adopt(self, policy: Policy) -> None:
        self._policy = policy
        self._affinity = policy if isinstance(policy, Affinity) else None
        lanes: dict[Hashable, list[Ready[K]]] = {}
        for item in list(self):
            lanes.setdefault(self._key(item), []).append(item)
        self._lanes = {key: Scheduler(policy, items, self._tokens) for key, items in lanes.items()}
        self._where = {item.id: lane for lane in self._lanes.values() for item in lane}

    def _key(self, item: Ready[K]) -> Hashable:
        # What may pass a head is told by its level, so that with affinity a lane's items are alike in that, too.
        return self._lane(item) if self._affinity is None else (self._lane(item), self._affinity.level(item))

    def _lane_of(self, item: Ready[K]) -> Scheduler[K]:
        key = self._key(item)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Scheduler(self._policy, (), self._tokens)
        return lane

    def _follower(self, head: Entry[K], rest: Iterable[Entry[K]], offer: Offer[Ready[K]]) -> Ready[K] | None:
        """The first after the head that the offer holds the model of, and that passes nothing more urgent there."""
        level = self._policy.level
        least = level(head[3])
        for entry in rest:
            item = entry[3]
            fit = offer.fit(item)
            if fit is Fit.HELD and level(item) <= least:
                return item
            if fit is not Fit.NEVER:
                least = min(least, level(item))
        return None

    def _take(self, item: Ready[K]) -> Ready[K]:
        self.remove(item.id)
        return item

    def _count_pass(self, head: Ready[K], now: float) -> None:
        head.passes += 1
        if head.passed_at is None:
            head.passed_at = now

    def _forget(self, item: Ready[K], lane: Scheduler[K]) -> None:
        del self._where[item.id]
        if not len(lane):
            del self._lanes[self._key(item)]
