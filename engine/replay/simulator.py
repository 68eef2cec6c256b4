"""The simulator's general loop: rounds, models that have to be loaded, and what an operator did on the way."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

from engine.replay.capacity import Capacity, FreeSlot, Slots
from engine.replay.tables import Act, Run
from engine.scheduling import LaneScheduler, Policy, Ready


class Simulator:
    """One run, event by event. Runs share their tasks, so what acts change is copied first."""

    def __init__(
        self,
        run: Run,
        policy: Policy,
        changes: Sequence[tuple[float, Policy]],
        plant: Capacity,
        acts: Sequence[Act] = (),
    ) -> None:
        if acts:
            run.tasks = replace(run.tasks, priority=array("b", run.tasks.priority))
            run.service = array("d", run.service)
        self._run = run
        self._tasks = tasks = run.tasks
        self._changes = changes
        self._acts = acts
        self._loads = plant.loads and bool(tasks.model)
        self._slots = Slots(plant, tasks.models)
        self._offers = [FreeSlot(self._slots, number, tasks.model) for number in range(plant.slots)]
        self._ready: LaneScheduler[int] = LaneScheduler(policy, self._lane)
        self._left = array("H", tasks.rounds) if tasks.rounds else array("H", [1]) * len(tasks)
        self._running: list[tuple[float, int, int]] = []  # (end of the round, slot, task)
        self._round_s = tasks.service
        self._arrived = self._changed = self._acted = 0
        self._now = 0.0
        self._paused = False
        self._cancelled: set[int] = set()
        self._held: set[int] = set()
        for index in range(len(tasks)):
            run.start[index] = run.end[index] = math.nan

    def run(self) -> None:
        """To the end."""
        while (now := self._next()) is not None:
            self._end_rounds(now)
            while self._changed < len(self._changes) and self._changes[self._changed][0] <= now:
                self._ready.switch(self._changes[self._changed][1])
                self._changed += 1
            self._arrive(now)
            while self._acted < len(self._acts) and self._acts[self._acted].at <= now:
                self._act(self._acts[self._acted], now)
                self._acted += 1
            self._dispatch(now)
        self._run.swaps, self._run.load_s = self._slots.swaps, self._slots.loading_s
        self._run.failed = frozenset(self._cancelled)

    def _next(self) -> float | None:
        """The next moment at which something happens; None when all is done."""
        tasks = self._tasks
        moments = [self._running[0][0]] if self._running else []
        if self._arrived < len(tasks):
            moments.append(tasks.at[self._arrived])
        if self._acted < len(self._acts) and (moments or len(self._ready) or self._held):
            moments.append(self._acts[self._acted].at)
        if moments:
            self._now = min(moments)
            return self._now
        if len(self._ready) or self._held:  # nobody is left to resume and to release
            self._paused = False
            for index in sorted(self._held):
                self._release(index)
            return self._now
        return None

    def _end_rounds(self, now: float) -> None:
        running = self._running
        while running and running[0][0] <= now:
            _, slot, index = heappop(running)
            self._slots.free.append(slot)
            self._left[index] -= 1
            if self._left[index]:
                self._queue(index)
            else:
                self._run.end[index] = now

    def _arrive(self, now: float) -> None:
        tasks = self._tasks
        while self._arrived < len(tasks) and tasks.at[self._arrived] <= now:
            index = self._arrived
            self._queue(index)
            self._arrived += 1

    def _queue(self, index: int) -> None:
        tasks = self._tasks
        self._ready.push(Ready(index, tasks.priority[index], tasks.at[index], index))

    def _act(self, act: Act, now: float) -> None:
        if act.op in ("pause", "resume"):
            self._paused = act.op == "pause"
            return
        index = act.task
        if index is None or index >= self._arrived or not math.isnan(self._run.end[index]):
            return
        if act.op == "cancel":
            self._cancel(index, now)
        elif act.op == "hold":
            if math.isnan(self._run.start[index]) and self._ready.remove(index) is not None:
                self._held.add(index)
        elif act.op == "release":
            self._release(index)
        elif act.priority is not None:
            self._tasks.priority[index] = act.priority
            self._ready.reprioritise(index, act.priority)

    def _release(self, index: int) -> None:
        if index in self._held:
            self._held.discard(index)
            self._queue(index)

    def _cancel(self, index: int, now: float) -> None:
        """End the task now: out of the queue, or off its slot."""
        run, rounds = self._run, self._rounds(index)
        self._cancelled.add(index)
        self._held.discard(index)
        run.end[index] = now
        done = rounds - self._left[index]
        served = done * self._round_s[index] / rounds
        if self._ready.remove(index) is None:
            for place, (until, slot, task) in enumerate(self._running):
                if task == index:
                    served += max(0.0, self._round_s[index] / rounds - (until - now))
                    del self._running[place]
                    heapify(self._running)
                    self._slots.free.append(slot)
                    break
        run.service[index] = served

    def _dispatch(self, now: float) -> None:
        run, slots, tasks = self._run, self._slots, self._tasks
        while not self._paused and slots.free and (taken := self._take(now)) is not None:
            index, slot = taken
            loading = slots.take(slot, tasks.model[index] if self._loads else 0)
            heappush(self._running, (now + loading + self._round_s[index] / self._rounds(index), slot, index))
            if math.isnan(run.start[index]):
                run.start[index] = now
                run.order.append(index)
                if run.ttft:
                    run.ttft[index] += loading

    def _take(self, now: float) -> tuple[int, int] | None:
        """The next task and the slot it gets, by the choice that the kernel makes for its cores."""
        if self._loads:
            offers = [self._offers[number] for number in sorted(self._slots.free)]
            picked = self._ready.pick(offers, now)
            return None if picked is None else (picked[0].id, offers[picked[1]].number)
        head = self._ready.pop()
        return None if head is None else (head.id, min(self._slots.free))

    def _lane(self, item: Ready[int]) -> int:
        return self._tasks.model[item.id] if self._loads else 0

    def _rounds(self, index: int) -> int:
        return self._tasks.rounds[index] if self._tasks.rounds else 1
