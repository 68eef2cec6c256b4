"""The simulator's general loop: rounds, several cores, models that have to be loaded, and operators' actions.

Guarantee. It takes the decisions that a live kernel takes for the same tasks on the same cores: the order of
dispatch, the slots and the swaps are the same. It has no rules of its own for that: the queue is
`scheduling/lanes.py` and the slots and models are `scheduling/placement.py`, which the kernel drives as well, and a
property test runs random mixes of models, cores, slots, load times and policies both ways. Nothing is random and no
clock is read, so a run is the same to the last digit each time.

Data structure. Tasks are columns (`tables.py`), a heap has the end of each round that executes, and the arrivals, the
switches and the actions are read in order of time by a cursor each. The next moment is the least of these, so a run
costs O(log n) a round, however long its pauses are.

Order within a moment. Rounds end, policies switch, tasks arrive, actions apply, and only then are free slots given
away: a live kernel also dispatches one step of its loop after what happened. A task of several rounds is ready again
when its round ends, with its own priority and arrival, before its slot is offered. All free slots are given before
the first attempt begins, as in the kernel, because a model counts as loaded only from there on.

Loading. The placement says if a model has to be loaded and which one leaves for it. The time is the simulator's part:
the model is there after its load time, and attempts that begin on other slots meanwhile wait for the same load.

Rejected alternatives. A process for each task, as simulation libraries offer: ten times slower, and a second
scheduler. Fixed time steps: inexact, and slow where nothing happens. Driving the live kernel with a virtual clock:
exact, and the property test does that, but a hundred times slower than columns.

`simulate.py` has a shorter loop for the usual case, tasks of one round on slots that are alike; both give the same
runs.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

from engine.replay.capacity import Capacity
from engine.replay.tables import OperatorAction, Run
from engine.scheduling import LaneScheduler, Policy, Ready
from engine.scheduling.placement import PlacedSlot, place_next


class Simulator:
    """One run, event by event. Runs share their tasks, so columns that actions change are copied first."""

    def __init__(
        self,
        run: Run,
        policy: Policy,
        switches: Sequence[tuple[float, Policy]],
        capacity: Capacity,
        actions: Sequence[OperatorAction] = (),
        *,
        placements: list[tuple[int, str]] | None = None,
    ) -> None:
        """`placements` receives (task, slot id) of each round, in order of dispatch."""
        if actions:
            run.tasks = replace(run.tasks, priority=array("b", run.tasks.priority))
            run.service = array("d", run.service)
        self._run = run
        self._tasks = tasks = run.tasks
        self._switches = switches
        self._actions = actions
        self._capacity = capacity
        self._placements = placements
        named = sorted(set(tasks.model) - {0})
        self._placement = capacity.placement([tasks.models[model] for model in named])
        self._models = [None, *tasks.models[1:]] if named and not capacity.alike_for(tasks) else None
        self._ready: LaneScheduler[int] = LaneScheduler(policy, lambda item: item.model)
        self._left = array("H", tasks.rounds) if tasks.rounds else array("H", [1]) * len(tasks)
        self._running: list[tuple[float, int, PlacedSlot, int]] = []  # (end of the round, slot number, slot, task)
        self._loaded_at: dict[tuple[str, str | None], float] = {}  # by core and model, when its last load is over
        self._round_s = tasks.service
        self._arrived = self._switched = self._acted = 0
        self._now = 0.0
        self._paused = False
        self._cancelled: set[int] = set()
        self._held: set[int] = set()
        for index in range(len(tasks)):
            run.start[index] = run.end[index] = math.nan

    def run(self) -> None:
        """Simulate to the end."""
        while (now := self._next_moment()) is not None:
            self._end_rounds(now)
            while self._switched < len(self._switches) and self._switches[self._switched][0] <= now:
                self._ready.switch(self._switches[self._switched][1])
                self._switched += 1
            self._arrive(now)
            while self._acted < len(self._actions) and self._actions[self._acted].at <= now:
                self._act(self._actions[self._acted], now)
                self._acted += 1
            self._dispatch(now)
        self._run.failed = frozenset(self._cancelled)

    def _next_moment(self) -> float | None:
        """The next moment at which something happens; None when all is done."""
        tasks = self._tasks
        moments = [self._running[0][0]] if self._running else []
        if self._arrived < len(tasks):
            moments.append(tasks.at[self._arrived])
        if self._acted < len(self._actions) and (moments or len(self._ready) or self._held):
            moments.append(self._actions[self._acted].at)
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
            _, _, slot, index = heappop(running)
            self._placement.vacate(slot)
            self._left[index] -= 1
            if self._left[index]:
                self._queue(index)
            else:
                self._run.end[index] = now

    def _arrive(self, now: float) -> None:
        tasks = self._tasks
        while self._arrived < len(tasks) and tasks.at[self._arrived] <= now:
            self._queue(self._arrived)
            self._arrived += 1

    def _queue(self, index: int) -> None:
        tasks = self._tasks
        model = None if self._models is None else self._models[tasks.model[index]]
        self._ready.push(Ready(index, tasks.priority[index], tasks.at[index], index, model))

    def _act(self, action: OperatorAction, now: float) -> None:
        if action.op in ("pause", "resume"):
            self._paused = action.op == "pause"
            return
        index = action.task
        if index is None or index >= self._arrived or not math.isnan(self._run.end[index]):
            return
        if action.op == "cancel":
            self._cancel(index, now)
        elif action.op == "hold":
            if math.isnan(self._run.start[index]) and self._ready.remove(index) is not None:
                self._held.add(index)
        elif action.op == "release":
            self._release(index)
        elif action.priority is not None:
            self._tasks.priority[index] = action.priority
            self._ready.reprioritise(index, action.priority)

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
            for position, (until, _, slot, task) in enumerate(self._running):
                if task == index:
                    served += max(0.0, self._round_s[index] / rounds - (until - now))
                    del self._running[position]
                    heapify(self._running)
                    self._placement.vacate(slot)
                    break
        run.service[index] = served

    def _dispatch(self, now: float) -> None:
        ready, placed = self._ready, []
        while len(ready) and not self._paused and (pair := place_next(ready, self._placement, now)) is not None:
            placed.append(pair)
        for item, slot in placed:
            self._begin(item, slot, now)

    def _begin(self, item: Ready[int], slot: PlacedSlot, now: float) -> None:
        """Begin a round on its slot."""
        run, index = self._run, item.id
        loading = self._load(slot, item.model, now)
        heappush(self._running, (now + loading + self._round_s[index] / self._rounds(index), slot.number, slot, index))
        run.load_s += loading
        if self._placements is not None:
            self._placements.append((index, slot.id))
        if math.isnan(run.start[index]):
            run.start[index] = now
            run.order.append(index)
            if run.ttft:
                run.ttft[index] += loading

    def _load(self, slot: PlacedSlot, model: str | None, now: float) -> float:
        """Have the model loaded if it is not; returns the seconds until it is there."""
        load = self._placement.use(slot, model)
        key = slot.core_name, slot.model
        if load.needed:
            seconds = self._capacity.cores[slot.core_name].seconds_to_load(slot.model)
            self._loaded_at[key] = now + seconds
            self._run.swaps += load.evicted is not None
            return seconds
        return max(0.0, self._loaded_at.get(key, now) - now)

    def _rounds(self, index: int) -> int:
        return self._tasks.rounds[index] if self._tasks.rounds else 1
