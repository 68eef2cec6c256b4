"""Puts what is ready onto free slots, in the order of the policy, after the step of the loop that called for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from engine.kernel.slots import Place, SlotTable
from engine.model import Task
from engine.scheduling import Policy, Ready, Scheduler

SyscallId = tuple[int, int]
"""(task, round); round 0 stands for a task whose first turn has not come."""


class Dispatcher:
    """The ready queue and the slots. It knows ids only: what a turn or a round is, its owner knows.

    Attributes:
        admits_tasks, admits_rounds: whether first turns, and rounds of running tasks, are given slots now.
    """

    def __init__(
        self, policy: Policy, *, begin: Callable[[int, Place], None], must_wait: Callable[[SyscallId], None]
    ) -> None:
        """`begin` is called when a task's first turn comes, `must_wait` for a round that got no slot at once."""
        self.slots = SlotTable()
        self.admits_tasks = False
        self.admits_rounds = False
        self._ready: Scheduler[SyscallId] = Scheduler(policy)
        self._begin = begin
        self._must_wait = must_wait
        self._grants: dict[SyscallId, asyncio.Future[Place]] = {}
        self._new: list[SyscallId] = []
        self._kicked = False

    @property
    def policy(self) -> Policy:
        return self._ready.policy

    def ready(self) -> list[Ready[SyscallId]]:
        """What is ready, in the order in which it would run. O(n log n)."""
        return self._ready.snapshot()

    def switch(self, policy: Policy) -> None:
        self._ready.switch(policy)

    def add(self, task: Task) -> None:
        """A task is queued: its first turn is ready."""
        self._ready.push(Ready((task.id, 0), task.priority, task.submitted_at, task.id, task.spec.model))
        self.kick()

    def acquire(self, task: Task, round_: int, model: str | None) -> asyncio.Future[Place]:
        """A round of a running task is ready, in its task's own place; the future gets its slot."""
        granted = self._grants[task.id, round_] = asyncio.get_running_loop().create_future()
        self._ready.push(Ready((task.id, round_), task.priority, task.submitted_at, task.id, model))
        self._new.append((task.id, round_))
        self.kick()
        return granted

    def withdraw(self, task: int, round_: int) -> bool:
        """Take a turn or a round out again; False when it is not ready (any more)."""
        self._grants.pop((task, round_), None)
        return self._ready.remove((task, round_)) is not None

    def reprioritise(self, task: int, round_: int, priority: int) -> None:
        self._ready.reprioritise((task, round_), priority)

    def release(self, place: Place) -> None:
        """A slot is free. It is offered only after the agent that held it had the chance to ask for its next round."""
        place.busy = False
        self.kick()

    def kick(self) -> None:
        """Have what is ready dispatched once the present step of the loop is over."""
        if not self._kicked:
            self._kicked = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._kicked = False
        for item, place in self._pairs():
            place.busy = True
            task, round_ = item.id
            if round_ == 0:
                self._begin(task, place)
            elif (granted := self._grants.pop(item.id)).cancelled():
                place.busy = False  # its task was cancelled in this very step of the loop
            else:
                granted.set_result(place)
        new, self._new = self._new, []
        for id_ in new:
            if id_ in self._ready:
                self._must_wait(id_)

    def _pairs(self) -> Iterator[tuple[Ready[SyscallId], Place]]:
        """Heads with the slot that each may take, until one of them runs out."""
        plain = self.slots.one_core and self.admits_tasks and self.admits_rounds
        # In a drain only rounds go on: without one, what may be a very long queue is not looked through.
        while self._anything() and self.slots.any_free():
            item = self._ready.pop(None if plain else self._eligible)
            if item is None:
                return
            place = self.slots.free_for(item.model)
            if place is None:  # a plain head on its only core finds the free slot that there is
                raise AssertionError(f"no slot for {item}")
            yield item, place

    def _anything(self) -> bool:
        """Whether something is ready of a kind that is admitted."""
        if self.admits_tasks and self.admits_rounds:
            return len(self._ready) > 0
        return bool(self._grants) if self.admits_rounds else self.admits_tasks and len(self._ready) > 0

    def _eligible(self, item: Ready[SyscallId]) -> bool:
        admitted = self.admits_tasks if item.id[1] == 0 else self.admits_rounds
        return admitted and self.slots.free_for(item.model) is not None
