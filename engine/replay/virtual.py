"""Virtual time: a discrete-event run over the kernel's own scheduler. No clock, no chance: the same to the last digit.

What happens at one moment happens in this order: executions end, policies switch, tasks arrive, free slots take heads.
So tasks that arrive together are ordered by the policy before the first of them starts, as with `submit_many`.
A task of several rounds is ready again, with its own (priority, arrival), at the moment its round ends, before the
freed slot is offered: only a task that goes before it under the policy gets between.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace

from engine.replay.columns import Run, Tasks
from engine.scheduling import Policy, Ready, Scheduler


@dataclass(frozen=True, slots=True)
class Plant:
    """What there is to execute on.

    Attributes:
        slots: how many attempts run at once.
        load_s: seconds to load a model by name; what is not named loads in `default_load_s`. A slot holds one model; a
            task that names another has it loaded first, on a free slot that holds it, else on one that holds none,
            else on the free slot with the lowest number. Tasks that name no model run on whatever is there.
    """

    slots: int = 1
    load_s: Mapping[str, float] = field(default_factory=dict)
    default_load_s: float = 0.0

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError("there is at least one slot")
        if not all(math.isfinite(s) and s >= 0 for s in (*self.load_s.values(), self.default_load_s)):
            raise ValueError("a load time is a number of seconds, 0 or more")

    @property
    def loads(self) -> bool:
        """Whether models have to be told apart."""
        return bool(self.load_s) or self.default_load_s > 0


def simulate(
    tasks: Tasks, policy: Policy, plant: Plant | None = None, switches: Iterable[tuple[float, Policy]] = ()
) -> Run:
    """Run `tasks` under `policy` to the end. `switches` change the policy at times, in seconds from the start.

    O((n + switches·ready) log n) time; about 60 bytes a task besides the columns given.

    Raises:
        ValueError: the columns do not belong together, or a switch has no finite time.
    """
    tasks.check()
    plant = plant or Plant()
    changes = sorted(switches, key=lambda change: change[0])
    if not all(math.isfinite(at) for at, _ in changes):
        raise ValueError("a switch of policy has a finite time")
    n = len(tasks)
    run = Run(
        policy=policy.name,
        kind="virtual",
        slots=plant.slots,
        tasks=tasks,
        start=array("d", bytes(8 * n)),
        end=array("d", bytes(8 * n)),
        service=tasks.service,
        order=array("L"),
        ttft=array("d", tasks.prefill),
        switches=tuple((at, change.name) for at, change in changes),
    )
    several_rounds = bool(tasks.rounds) and max(tasks.rounds, default=1) > 1
    if several_rounds or (plant.loads and tasks.model):
        _general(run, Scheduler(policy), changes, plant)
    else:
        _plain(run, Scheduler(policy), changes)
    return run


def _plain(run: Run, scheduler: Scheduler[int], changes: list[tuple[float, Policy]]) -> None:
    """One round a task, no loading: the next thing that matters is always the next slot to become free."""
    at, priority, service = run.tasks.at, run.tasks.priority, run.tasks.service
    start, end, ordered = run.start, run.end, run.order.append
    push, pop = scheduler.push, scheduler.pop
    free_at = [-math.inf] * run.slots  # a heap of the moments at which the slots are, or will be, free
    pending = iter(changes)
    change_at, change = next(pending, (math.inf, None))
    spare: list[Ready[int]] = []  # a record is used again once its task is dispatched
    n, arrived, waiting = len(at), 0, 0
    next_at = at[0] if n else math.inf
    now = -math.inf
    for _ in range(n):
        if not waiting and next_at > now:
            now = next_at
        if free_at[0] > now:  # noqa: PLR1730  (max() would cost a call for each task)
            now = free_at[0]
        while change is not None and change_at <= now:
            scheduler.switch(change)
            change_at, change = next(pending, (math.inf, None))
        while next_at <= now:
            if spare:
                item = spare.pop()
                item.id = item.seq = arrived
                item.priority = priority[arrived]
                item.arrival = next_at
            else:
                item = Ready(arrived, priority[arrived], next_at, arrived)
            push(item)
            waiting += 1
            arrived += 1
            next_at = at[arrived] if arrived < n else math.inf
        head = pop()
        assert head is not None  # noqa: S101  (something arrived at `now`, or waits)
        waiting -= 1
        index = head.id
        spare.append(head)
        start[index] = now
        end[index] = done = now + service[index]
        heapreplace(free_at, done)
        ordered(index)


class _Slots:
    """Which slots are free, and what model each holds."""

    def __init__(self, plant: Plant, models: list[str]) -> None:
        self.load_s = [0.0, *(plant.load_s.get(name, plant.default_load_s) for name in models[1:])]
        self.free = list(range(plant.slots))
        self.holds = [0] * plant.slots
        self.swaps = 0
        self.loading_s = 0.0

    def take(self, model: int) -> tuple[int, float]:
        """Take the free slot that suits `model` best: its number, and the seconds it loads first."""
        holds = self.holds
        best = (
            min(self.free, key=lambda slot: (holds[slot] != model, holds[slot] != 0, slot)) if model else min(self.free)
        )
        self.free.remove(best)
        if not model or holds[best] == model:
            return best, 0.0
        self.swaps += holds[best] != 0
        holds[best] = model
        self.loading_s += self.load_s[model]
        return best, self.load_s[model]


def _general(run: Run, scheduler: Scheduler[int], changes: list[tuple[float, Policy]], plant: Plant) -> None:
    """Rounds and models too: events in a heap."""
    tasks = run.tasks
    n = len(tasks)
    slots = _Slots(plant, tasks.models)
    left = array("H", tasks.rounds) if tasks.rounds else array("H", [1]) * n
    for index in range(n):
        run.start[index] = math.nan
    running: list[tuple[float, int, int]] = []  # (end of the round, slot, task)
    arrived = changed = 0
    while running or arrived < n or len(scheduler):
        now = min(running[0][0] if running else math.inf, tasks.at[arrived] if arrived < n else math.inf)
        while running and running[0][0] <= now:
            _, slot, index = heappop(running)
            slots.free.append(slot)
            left[index] -= 1
            if left[index]:
                scheduler.push(Ready(index, tasks.priority[index], tasks.at[index], index))
            else:
                run.end[index] = now
        while changed < len(changes) and changes[changed][0] <= now:
            scheduler.switch(changes[changed][1])
            changed += 1
        while arrived < n and tasks.at[arrived] <= now:
            scheduler.push(Ready(arrived, tasks.priority[arrived], tasks.at[arrived], arrived))
            arrived += 1
        while slots.free and (head := scheduler.pop()) is not None:
            slot, loading = slots.take(tasks.model[head.id] if tasks.model and plant.loads else 0)
            heappush(running, (now + loading + _round_s(run, head.id), slot, head.id))
            if math.isnan(run.start[head.id]):
                run.start[head.id] = now
                run.order.append(head.id)
                if run.ttft:
                    run.ttft[head.id] += loading
    run.swaps, run.load_s = slots.swaps, slots.loading_s


def _round_s(run: Run, index: int) -> float:
    rounds = run.tasks.rounds[index] if run.tasks.rounds else 1
    return run.service[index] / rounds
