"""What a run comes to in numbers: waiting, turnaround, slowdown and TTFT, by priority and by client, and fairness.

Times are seconds. Waiting = first dispatch − arrival, turnaround = end − arrival, slowdown = turnaround / service, TTFT
from dispatch. A task counts in a distribution when it got so far: one that never started has no waiting time.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isnan

from engine.replay.tables import Run
from engine.task import LEAST_URGENT


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of `n` values: mean, quantiles by linear interpolation between order statistics, and the greatest."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Distribution | None:
        """The distribution of what is a number in `values`; None when nothing is."""
        return cls.of_ranked(sorted(value for value in values if not isnan(value)))

    @classmethod
    def of_ranked(cls, ranked: Sequence[float]) -> Distribution | None:
        """The same of numbers that are sorted."""
        if not ranked:
            return None
        mean = math.fsum(ranked) / len(ranked)
        p50, p95, p99 = (quantile(ranked, q) for q in (0.5, 0.95, 0.99))
        return cls(len(ranked), mean, p50, p95, p99, ranked[-1])


def quantile(ranked: Sequence[float], q: float) -> float:
    """The q-quantile of sorted values, between neighbours by linear interpolation."""
    place = (len(ranked) - 1) * q
    below = math.floor(place)
    low, high = ranked[below], ranked[min(below + 1, len(ranked) - 1)]
    return low + (high - low) * (place - below)


@dataclass(frozen=True, slots=True)
class Group:
    """The tasks of one priority or client, or all of them; a distribution is None where nothing was measured."""

    n: int
    waiting: Distribution | None
    turnaround: Distribution | None
    slowdown: Distribution | None
    ttft: Distribution | None


@dataclass(frozen=True, slots=True)
class Jain:
    """Jain's index, (Σx)² / (n Σx²): 1 when all `n` are treated alike, 1/n when one has it all. `over`: what x is."""

    value: float
    n: int
    over: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """One run in numbers.

    Attributes:
        n: tasks in the workload. done: ended well. failed: ended, but not well.
        makespan: first arrival to last end. throughput: ended tasks a second of makespan.
        utilisation: service time of started tasks over slots × makespan, 0 … 1; loading models is not service.
        oldest_wait: the longest any task waited, or had waited at the last end when it never started.
        inversions: dispatches of a task while a strictly more urgent one was ready, counted once for each task at its
            first dispatch.
        swaps: how often a slot had to load another model than it held. load_s: seconds spent loading.
        by_priority, by_client: only those that occur; the client "" is tasks that name none.
    """

    policy: str
    kind: str
    slots: int
    n: int
    done: int
    failed: int
    makespan: float
    throughput: float
    utilisation: float
    oldest_wait: float
    inversions: int
    swaps: int
    load_s: float
    jain: Jain | None
    overall: Group
    by_priority: dict[int, Group]
    by_client: dict[str, Group]


def measure(run: Run) -> Metrics:
    """Work out the metrics of a run. O(n log n)."""
    tasks, n = run.tasks, len(run.tasks)
    ended = [end for end in run.end if not isnan(end)]
    last = max(ended, default=math.nan)
    makespan = last - tasks.at[0] if ended else 0.0
    worked = math.fsum(s for s, begun in zip(run.service, run.start, strict=True) if not (isnan(begun) or isnan(s)))
    waiting = list(map(float.__sub__, run.start, tasks.at))
    turnaround = list(map(float.__sub__, run.end, tasks.at))
    slowdown = [t / s if s > 0 else math.nan for t, s in zip(turnaround, run.service, strict=True)]
    columns = (waiting, turnaround, slowdown, run.ttft)
    still = [last - at for at, begun in zip(tasks.at, run.start, strict=True) if isnan(begun) and at < last]
    overall, by_priority = _grouped(columns, tasks.priority, LEAST_URGENT + 1, n)
    by_client = _grouped(columns, tasks.client, len(tasks.clients), n)[1] if tasks.client else {0: overall} if n else {}
    return Metrics(
        policy=run.policy,
        kind=run.kind,
        slots=run.slots,
        n=n,
        done=len(ended) - len(run.failed),
        failed=len(run.failed),
        makespan=makespan,
        throughput=len(ended) / makespan if makespan > 0 else 0.0,
        utilisation=worked / (run.slots * makespan) if makespan > 0 else 0.0,
        oldest_wait=max([wait for wait in waiting if not isnan(wait)] + still, default=0.0),
        inversions=inversions(run),
        swaps=run.swaps,
        load_s=run.load_s,
        jain=_fairness(slowdown, by_client),
        overall=overall,
        by_priority=by_priority,
        by_client={tasks.clients[key]: by_client[key] for key in sorted(by_client, key=tasks.clients.__getitem__)},
    )


def inversions(run: Run) -> int:
    """Dispatches of a task while a strictly more urgent one was ready: arrived by then, and not yet dispatched.

    Tasks that never started count as ready to the end. O(10 · n).
    """
    tasks = run.tasks
    ready = [0] * (LEAST_URGENT + 1)
    arrived, n, found = 0, len(tasks), 0
    for index in run.order:
        now = run.start[index]
        while arrived < n and tasks.at[arrived] <= now:
            ready[tasks.priority[arrived]] += 1
            arrived += 1
        own = tasks.priority[index]
        ready[own] -= 1
        found += any(count > 0 for count in ready[:own])
    return found


def waiting_cdf(run: Run, points: int = 200, priority: int | None = None) -> list[tuple[float, float]]:
    """The share of started tasks that waited at most so long, as (seconds, share) at evenly spaced shares."""
    pairs = zip(run.start, run.tasks.at, run.tasks.priority, strict=True)
    ranked = sorted(s - a for s, a, p in pairs if not isnan(s) and priority in (None, p))
    steps = min(points, len(ranked))
    return [(ranked[-(-len(ranked) * step // steps) - 1], step / steps) for step in range(1, steps + 1)]


def queue_length(run: Run, points: int = 500) -> list[tuple[float, int]]:
    """How many tasks waited for their first dispatch, as (seconds, tasks) at evenly spaced moments."""
    tasks = run.tasks
    if not len(tasks):
        return []
    started = sorted(begun for begun in run.start if not isnan(begun))
    first = tasks.at[0]
    last = max([end for end in run.end if not isnan(end)] or [tasks.at[-1]])
    last = max([last, *started[-1:]])
    moments = [first + (last - first) * step / max(1, points - 1) for step in range(points)]
    return [(moment, bisect_right(tasks.at, moment) - bisect_right(started, moment)) for moment in moments]


def compare_order(one: Run, other: Run) -> int | None:
    """The place, from 0, of the first dispatch in which two runs of one workload differ; None when they agree."""
    for place, (left, right) in enumerate(zip(one.order, other.order, strict=False)):
        if one.tasks.id(left) != other.tasks.id(right):
            return place
    shorter = min(len(one.order), len(other.order))
    return None if len(one.order) == len(other.order) else shorter


def _grouped(
    columns: Sequence[Sequence[float]], keys: Sequence[int], kinds: int, n: int
) -> tuple[Group, dict[int, Group]]:
    """All tasks as one group, and the groups of those keys in 0 … kinds − 1 that occur."""
    counts = Counter(keys)
    parts: list[list[Distribution | None]] = []
    for column in columns:
        buckets: list[list[float]] = [[] for _ in range(kinds)]
        for value, key in zip(column, keys, strict=False):
            if not isnan(value):
                buckets[key].append(value)
        for bucket in buckets:
            bucket.sort()
        # Sorting what is sorted in runs only merges them.
        merged = sorted(chain.from_iterable(buckets))
        parts.append([*map(Distribution.of_ranked, buckets), Distribution.of_ranked(merged)])
    groups = {key: Group(counts[key], *(part[key] for part in parts)) for key in sorted(counts)}
    return Group(n, *(part[-1] for part in parts)), groups


def _fairness(slowdown: Sequence[float], by_client: dict[int, Group]) -> Jain | None:
    """Over clients where the workload names at least two, otherwise over tasks."""
    means = [group.slowdown.mean for client, group in by_client.items() if client and group.slowdown is not None]
    if len(means) >= 2:
        return _jain(means, "the clients' mean slowdowns")
    return _jain([value for value in slowdown if not isnan(value)], "the tasks' slowdowns")


def _jain(values: Sequence[float], over: str) -> Jain | None:
    squares = math.fsum(value * value for value in values)
    return Jain(math.fsum(values) ** 2 / (len(values) * squares), len(values), over) if squares > 0 else None
