"""Dispatching: gives ready turns and rounds to free slots, in the order of the policy.

Guarantee. A slot that falls free is given away in the same pass of the event loop, to the item that the scheduler and
the placement choose among everything that is ready at that moment. Nothing polls: each change that could let an item
go (one became ready, a slot fell free, a priority, the policy, a core or the kernel's state changed) calls `kick`.

Why one step later. `kick` schedules a single dispatch with `call_soon`, however many changes one step of the loop
makes. Tasks that are submitted together are ordered before the first of them starts. And a round that ends frees its
slot before its agent asks for the next round; as the agent continues in that same step, its next round is ready when
the slot is offered, so under FIFO a task keeps its slot from round to round and only a more urgent task can come
between.

Division of work. `scheduling/lanes.py` orders what is ready, `scheduling/placement.py` knows slots and models; both
are plain data that the simulator drives as well. This module adds what only a live kernel has: futures of agents that
wait for a slot, admission by the kernel's state, and events. It knows ids only; turns and rounds are the owner's.

A grant is made in two steps, because an agent is a coroutine: the dispatch occupies the slot, and `use` follows when
the attempt begins. An agent may name another model than its task did; `may_use` then decides if the slot can still be
used without breaking the order, or if the round has to queue again under its real model.

Admission. First turns and rounds are admitted apart: a drain lets running tasks go on to their end and starts no
other. If a kind is not admitted, its lanes are skipped whole, not item by item.

Rejected alternatives. A task per slot that takes from a queue: which one wakes first would decide the order, and a
change of policy or model would have to reach into waiting tasks. Dispatching inside `release`: a task would lose its
slot to the next one between any two rounds. An `asyncio.PriorityQueue`: no removal, no new order, no view of the
slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.events import Event, ModelSwapped
from engine.kernel.slot_table import KernelSlot, SlotTable
from engine.kernel.swap_planner import SwapPlanner
from engine.scheduling import Affinity, Fit, LaneScheduler, Policy, Ready
from engine.scheduling.placement import place_ahead, place_next
from engine.task import Task

SyscallId = tuple[int, int]
"""(task id, round); round 0 stands for a task that has not started."""


def _lane(item: Ready[SyscallId]) -> tuple[str | None, bool]:
    """Items of one model and one kind, first turns or rounds, can go to the same slots at the same times."""
    return item.model, item.id[1] == 0


class Dispatcher:
    """The ready queue and the slots.

    Attributes:
        admits_tasks, admits_rounds: first turns, and rounds of running tasks, are given slots now.
        on_hold: first turns wait a moment, as the loaded models are about to be known. Unlike a drain this does not
            change what is upcoming.
        begin: called when a task gets its first slot. must_wait: called for a round that got no slot at once. Their
            owner, the task table, sets both.
    """

    begin: Callable[[int, KernelSlot], None]
    must_wait: Callable[[SyscallId], None]

    def __init__(self, policy: Policy, publish: Callable[[Event], None], now: Callable[[], float]) -> None:
        self.slots = SlotTable()
        self.admits_tasks = False
        self.admits_rounds = False
        self.on_hold = False
        self._ready: LaneScheduler[SyscallId] = LaneScheduler(policy, _lane)
        self.swaps = SwapPlanner(self._ready, self.slots, publish, now)
        self._publish = publish
        self._now = now
        self._grants: dict[SyscallId, asyncio.Future[KernelSlot]] = {}
        self._new: list[SyscallId] = []
        self._kicked = False

    @property
    def policy(self) -> Policy:
        return self._ready.policy

    def ready(self) -> list[Ready[SyscallId]]:
        """Everything that is ready in the order of the policy, affinity and models left out. O(n log n)."""
        return self._ready.snapshot()

    def upcoming(self, limit: int) -> list[SyscallId]:
        """The next `limit` ids in the order of dispatch, if busy slots fall free in the order in which they were given.

        Affinity, loaded models, slots out of use and a drain count. Left out is what no slot can take. A pause does not
        count: the order is then as after `resume`. Rounds that running tasks have yet to ask for are not known.

        O(s + (limit + l) · (l + log limit)) for `s` slots and `l` lanes; nothing is sorted but the lanes' heads. With
        affinity a step may compare all heads for each core.
        """
        paused = not (self.admits_tasks or self.admits_rounds)
        on_hold, self.on_hold = self.on_hold, False  # a hold ends by itself, in a moment
        admits = None if paused else self._admission()
        placed = place_ahead(self._ready.look_ahead(), self.slots.copy(), limit, self._now(), admits)
        self.on_hold = on_hold
        return [item.id for item in placed]

    def switch(self, policy: Policy) -> None:
        """Order the queue by another policy from now on."""
        self._ready.switch(policy)
        self.kick()

    def add(self, task: Task) -> None:
        """Queue a task's first turn."""
        self._ready.push(Ready((task.id, 0), task.priority, task.submitted_at, task.id, task.spec.model))
        self.kick()

    def acquire(self, task: Task, round_: int, model: str | None) -> asyncio.Future[KernelSlot]:
        """Queue a round of a running task with its task's priority and arrival; the future gets its slot."""
        granted = self._grants[task.id, round_] = asyncio.get_running_loop().create_future()
        self._ready.push(Ready((task.id, round_), task.priority, task.submitted_at, task.id, model))
        self._new.append((task.id, round_))
        self.kick()
        return granted

    def withdraw(self, task: int, round_: int) -> bool:
        """Take a turn or a round out of the queue; False when it is not in it."""
        self._grants.pop((task, round_), None)
        if self._ready.remove((task, round_)) is None:
            return False
        self.kick()  # a slot may have been kept free for it
        return True

    def reprioritise(self, task: int, round_: int, priority: int) -> None:
        """Give a queued turn or round another priority."""
        self._ready.reprioritise((task, round_), priority)
        self.kick()  # another item may be first now, and suit a slot that was kept free

    def may_use(self, slot: KernelSlot, model: str | None) -> bool:
        """Return True when an attempt may use its task's slot for this model; else it has to queue first.

        The slot was given for the model that the task names, but its agent may name another one.
        """
        if slot.model == self.slots.models[slot.core_name].own_name(model):
            return True
        fit = self.slots.fit(slot, model)
        return fit < (Fit.SWAP if isinstance(self.policy, Affinity) else Fit.DRAIN)

    def use(self, slot: KernelSlot, task: int, model: str | None) -> bool:
        """Record that an attempt begins with this model on its slot; returns True when the core has to load it."""
        load = self.slots.use(slot, model)
        if load.evicted is not None:
            self._publish(
                ModelSwapped(self._now(), slot.core_name, slot.id, task, load.evicted, slot.model or ""),
            )
        if load.needed:
            self.kick()
        return load.needed

    def release(self, slot: KernelSlot) -> None:
        """Free a slot. It is offered after the agent that had it has had the chance to ask for its next round."""
        self.slots.vacate(slot)
        self.kick()

    def kick(self) -> None:
        """Dispatch once the present step of the loop is over."""
        if not self._kicked:
            self._kicked = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def admits(self, item: Ready[SyscallId]) -> bool:
        """Return True when the item may be given a slot now."""
        return self._admits_first_turns if item.id[1] == 0 else self.admits_rounds

    @property
    def _admits_first_turns(self) -> bool:
        return self.admits_tasks and not self.on_hold

    def _dispatch(self) -> None:
        self._kicked = False
        while (
            self._any_admitted()
            and (pair := place_next(self._ready, self.slots, self._now(), self._admission())) is not None
        ):
            item, slot = pair
            task, round_ = item.id
            if round_ == 0:
                self.begin(task, slot)
            elif (granted := self._grants.pop(item.id)).cancelled():
                self.slots.vacate(slot)  # its task was cancelled in this very step of the loop
            else:
                granted.set_result(slot)
        new, self._new = self._new, []
        for id_ in new:
            if id_ in self._ready:
                self.must_wait(id_)
        self.swaps.update()

    def _admission(self) -> Callable[[Ready[SyscallId]], bool] | None:
        """The filter of what may go, None when everything may and slots are alike, so that none is asked for."""
        everything = self._admits_first_turns and self.admits_rounds
        return None if everything and self.slots.alike else self.admits

    def _any_admitted(self) -> bool:
        """Return True when something of a kind that is admitted is ready."""
        tasks = self._admits_first_turns
        if tasks and self.admits_rounds:
            return len(self._ready) > 0
        return bool(self._grants) if self.admits_rounds else tasks and len(self._ready) > 0
