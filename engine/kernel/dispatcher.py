"""Puts what is ready onto free slots, in the order of the policy, after the step of the loop that called for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.events import Event, ModelSwapped
from engine.kernel.slot_table import KernelSlot, SlotTable
from engine.kernel.swap_planner import SwapPlanner
from engine.scheduling import Affinity, Fit, LaneScheduler, Policy, Ready
from engine.task import Task

SyscallId = tuple[int, int]
"""(task, round); round 0 stands for a task whose first turn has not come."""


def _lane(item: Ready[SyscallId]) -> tuple[str | None, bool]:
    """Items of one model, and of first turns or of rounds, can go to the same slots at the same times."""
    return item.model, item.id[1] == 0


class Dispatcher:
    """The ready queue and the slots. It knows ids only: what a turn or a round is, its owner knows.

    Attributes:
        admits_tasks, admits_rounds: whether first turns, and rounds of running tasks, are given slots now.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        begin: Callable[[int, KernelSlot], None],
        must_wait: Callable[[SyscallId], None],
        publish: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        """`begin` is called when a task's first turn comes, `must_wait` for a round that got no slot at once."""
        self.slots = SlotTable()
        self.admits_tasks = False
        self.admits_rounds = False
        self._ready: LaneScheduler[SyscallId] = LaneScheduler(policy, _lane)
        self.swaps = SwapPlanner(self._ready, self.slots, publish, now)
        self._publish = publish
        self._now = now
        self._begin = begin
        self._must_wait = must_wait
        self._grants: dict[SyscallId, asyncio.Future[KernelSlot]] = {}
        self._new: list[SyscallId] = []
        self._kicked = False

    @property
    def policy(self) -> Policy:
        return self._ready.policy

    def ready(self) -> list[Ready[SyscallId]]:
        """What is ready, in the order in which it would run. O(n log n)."""
        return self._ready.snapshot()

    def upcoming(self, limit: int) -> list[SyscallId]:
        """The first `limit` ready items in dispatch order."""
        return [item.id for item in self._ready.snapshot()[:limit]]

    def switch(self, policy: Policy) -> None:
        self._ready.switch(policy)
        self.kick()

    def add(self, task: Task) -> None:
        """A task is queued: its first turn is ready."""
        self._ready.push(Ready((task.id, 0), task.priority, task.submitted_at, task.id, task.spec.model))
        self.kick()

    def acquire(self, task: Task, round_: int, model: str | None) -> asyncio.Future[KernelSlot]:
        """A round of a running task is ready, in its task's own place; the future gets its slot."""
        granted = self._grants[task.id, round_] = asyncio.get_running_loop().create_future()
        self._ready.push(Ready((task.id, round_), task.priority, task.submitted_at, task.id, model))
        self._new.append((task.id, round_))
        self.kick()
        return granted

    def withdraw(self, task: int, round_: int) -> bool:
        """Take a turn or a round out again; False when it is not ready (any more)."""
        self._grants.pop((task, round_), None)
        if self._ready.remove((task, round_)) is None:
            return False
        self.kick()  # a slot may have been kept free for it
        return True

    def reprioritise(self, task: int, round_: int, priority: int) -> None:
        self._ready.reprioritise((task, round_), priority)
        self.kick()  # another one may be first now, and suit a slot that was kept free

    def may_use(self, place: KernelSlot, model: str | None) -> bool:
        """Whether an attempt may have its task's slot for this model, or has to ask in the queue first.

        The slot was given for the model that the task names, but its agent may name another one.
        """
        if place.model == self.slots.models[place.slot.core].own_name(model):
            return True
        fit = self.slots.fit(place, model)
        return fit < (Fit.SWAP if isinstance(self.policy, Affinity) else Fit.DRAIN)

    def use(self, place: KernelSlot, task: int, model: str | None) -> bool:
        """An attempt begins, with this model, on a slot that it has. Whether the core did not hold the model."""
        new = not self.slots.models[place.slot.core].holds(model, ())
        gone = self.slots.use(place, model)
        if gone is not None:
            core = place.slot.core
            self._publish(ModelSwapped(self._now(), core, place.slot.id, task, gone, place.model or ""))
        if new:
            self.kick()
        return new

    def release(self, place: KernelSlot) -> None:
        """A slot is free. It is offered only after the agent that held it had the chance to ask for its next round."""
        self.slots.vacate(place)
        self.kick()

    def kick(self) -> None:
        """Have what is ready dispatched once the present step of the loop is over."""
        if not self._kicked:
            self._kicked = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._kicked = False
        for item, place in self._pairs():
            self.slots.occupy(place, item.model)
            task, round_ = item.id
            if round_ == 0:
                self._begin(task, place)
            elif (granted := self._grants.pop(item.id)).cancelled():
                self.slots.vacate(place)  # its task was cancelled in this very step of the loop
            else:
                granted.set_result(place)
        new, self._new = self._new, []
        for id_ in new:
            if id_ in self._ready:
                self._must_wait(id_)
        self.swaps.update()

    def _pairs(self) -> Iterator[tuple[Ready[SyscallId], KernelSlot]]:
        """What goes next with the slot that it takes, until one of them runs out."""
        alike = self._alike()
        while self._anything() and (places := self.slots.first_free()):
            if alike and (head := self._ready.pop()) is not None:
                yield head, places[0]
                continue
            picked = self._ready.pick([_Offer(self, place) for place in places], self._now())
            if picked is None:
                return
            yield picked[0], places[picked[1]]

    def _alike(self) -> bool:
        """Whether the head by the policy alone goes next, and to any free slot, which is quicker to see."""
        everything = self.admits_tasks and self.admits_rounds
        return everything and not isinstance(self.policy, Affinity) and self.slots.alike

    def _anything(self) -> bool:
        """Whether something is ready of a kind that is admitted."""
        if self.admits_tasks and self.admits_rounds:
            return len(self._ready) > 0
        return bool(self._grants) if self.admits_rounds else self.admits_tasks and len(self._ready) > 0

    def admits(self, item: Ready[SyscallId]) -> bool:
        """Whether it may be given a slot now."""
        return self.admits_tasks if item.id[1] == 0 else self.admits_rounds


@dataclass(slots=True)
class _Offer:
    """The first free slot of a core."""

    dispatcher: Dispatcher
    place: KernelSlot

    def fit(self, item: Ready[SyscallId]) -> Fit:
        if not self.dispatcher.admits(item):
            return Fit.NEVER
        return self.dispatcher.slots.fit(self.place, item.model)
