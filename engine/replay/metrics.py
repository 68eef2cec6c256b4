"""Metrics of a run: waiting, turnaround, slowdown and TTFT, by priority and by client, and fairness.

Times are seconds. Waiting = first dispatch − arrival, turnaround = end − arrival, slowdown = turnaround / service, TTFT
from dispatch. A task counts in a distribution if it got that far: one that never started has no waiting time.
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
    """A distribution of `n` values: mean, quantiles interpolated linearly between order statistics, and maximum."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Distribution | None:
        """The distribution of `values` without NaN; None if none is left."""
        return cls.of_ranked(sorted(value for value in values if not isnan(value)))

    @classmethod
    def of_ranked(cls, ranked: Sequence[float]) -> Distribution | None:
        """The distribution of sorted numbers; None without any."""
        if not ranked:
            return None
        mean = math.fsum(ranked) / len(ranked)
        p50, p95, p99 = (quantile(ranked, q) for q in (0.5, 0.95, 0.99))
        return cls(len(ranked), mean, p50, p95, p99, ranked[-1])


def quantile(ranked: Sequence[float], q: float) -> float:
    """The q-quantile of sorted values, interpolated linearly between neighbours."""
    position = (len(ranked) - 1) * q
    below = math.floor(position)
    low, high = ranked[below], ranked[min(below + 1, len(ranked) - 1)]
    return low + (high - low) * (position - below)


@dataclass(frozen=True, slots=True)
class Group:
    """The tasks of one priority or client, or all of them; a distribution is None if nothing was measured."""

    n: int
    waiting: Distribution | None
    turnaround: Distribution | None
    slowdown: Distribution | None
    ttft: Distribution | None


@dataclass(frozen=True, slots=True)
class Jain:
    """Jain's index, (Σx)² / (n Σx²): 1 if all `n` are equal, 1/n if one has everything. `over`: the meaning of x."""

    value: float
    n: int
    over: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of one run.

    Attributes:
        n: tasks in the workload. done: completed. failed: failed or cancelled.
        makespan: first arrival to last end. throughput: ended tasks a second of makespan.
        utilisation: service time of started tasks over slots × makespan, 0 … 1; loading models is not service.
        oldest_wait: the longest any task waited, or had waited at the last end when it never started.
        inversions: dispatches of a task while a strictly more urgent one was ready, counted once for each task at its
            first dispatch.
        swaps: models that left a core's memory for another one. load_s: seconds that attempts waited for loads.
        by_priority, by_client: only those that occur; the client "" stands for tasks that name none.
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
    """Compute the metrics of a run. O(n log n)."""
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
    """Count dispatches of a task while a strictly more urgent one was ready: arrived, and not yet dispatched.

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
    """Return the distribution function of the waits of started tasks, as (seconds, share) at evenly spaced shares."""
    pairs = zip(run.start, run.tasks.at, run.tasks.priority, strict=True)
    ranked = sorted(s - a for s, a, p in pairs if not isnan(s) and priority in (None, p))
    steps = min(points, len(ranked))
    return [(ranked[-(-len(ranked) * step // steps) - 1], step / steps) for step in range(1, steps + 1)]


def queue_length(run: Run, points: int = 500) -> list[tuple[float, int]]:
    """Return the number of tasks that waited for their first dispatch, as (seconds, tasks) at evenly spaced moments."""
    tasks = run.tasks
    if not len(tasks):
        return []
    started = sorted(begun for begun in run.start if not isnan(begun))
    first = tasks.at[0]
    last = max([end for end in run.end if not isnan(end)] or [tasks.at[-1]])
    last = max([last, *started[-1:]])
    moments = [first + (last - first) * step / max(1, points - 1) for step in range(points)]
    return [(moment, bisect_right(tasks.at, moment) - bisect_right(started, moment)) for moment in moments]


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
        # The sort merges buckets that are sorted, which is fast.
        merged = sorted(chain.from_iterable(buckets))
        parts.append([*map(Distribution.of_ranked, buckets), Distribution.of_ranked(merged)])
    groups = {key: Group(counts[key], *(part[key] for part in parts)) for key in sorted(counts)}
    return Group(n, *(part[-1] for part in parts)), groups


def _fairness(slowdown: Sequence[float], by_client: dict[int, Group]) -> Jain | None:
    """Jain's index over clients if the workload names at least two, otherwise over tasks."""
    means = [group.slowdown.mean for client, group in by_client.items() if client and group.slowdown is not None]
    if len(means) >= 2:
        return _jain(means, "the clients' mean slowdowns")
    return _jain([value for value in slowdown if not isnan(value)], "the tasks' slowdowns")


def _jain(values: Sequence[float], over: str) -> Jain | None:
    squares = math.fsum(value * value for value in values)
    return Jain(math.fsum(values) ** 2 / (len(values) * squares), len(values), over) if squares > 0 else None
