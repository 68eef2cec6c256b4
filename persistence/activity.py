"""Waiting, load and tokens of a span of time in equal buckets: the sums from which metrics are computed.

An interval (a syscall waits, a slot is busy, tokens are generated) counts in each bucket for the part inside it. SQLite
sums intervals by the buckets in which they begin and end, so that a million attempts become some hundreds of rows.
"""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from persistence.program_runs import ProgramRun, program_runs, slots_seen

WAITING, BUSY, TOKENS = "waiting", "busy", "tokens"
MAX_BUCKETS = 2_000

# One row per attempt that ended after :since, or executes. A task that restarts after an interruption keeps its
# submission as `ready_at`, but waits again only since its earlier start ended.
_ATTEMPTS = """
    SELECT a.started_at AS started_at, t.priority AS priority, a.tokens_out AS tokens,
        CASE a.state WHEN 'executing' THEN max(a.started_at, :alive) ELSE a.started_at + a.service_s END AS over_at,
        a.started_at + coalesce(a.ttft_s, 0) AS first_at,
        CASE WHEN a.start > 1 THEN max(a.ready_at, coalesce(
            (SELECT max(p.ended_at) FROM attempts p WHERE p.task = a.task AND p.start < a.start), a.ready_at))
        ELSE a.ready_at END AS ready_at
    FROM attempts a JOIN tasks t ON t.id = a.task
    WHERE {where} AND a.ready_at < :until
"""
_BASE = (
    "WITH base AS MATERIALIZED ("
    + _ATTEMPTS.format(where="a.slot IN ({slots}) AND a.ended_at > :since")
    + " UNION ALL "
    + _ATTEMPTS.format(where="a.state = 'executing'")
    + ")"
)
# Tasks without an attempt: still queued, or ended in the queue.
_QUEUED = """
    SELECT priority, {until} AS started_at,
        max(submitted_at, coalesce((SELECT max(ended_at) FROM attempts WHERE task = tasks.id), 0)) AS ready_at
    FROM tasks WHERE {where}
"""
_SPANS = (  # only names of bound values are formatted in
    "{base}, program_runs (begin, end) AS (VALUES {program_runs}), waits AS ("  # noqa: S608
    "SELECT priority, started_at, ready_at FROM base UNION ALL "
    + _QUEUED.format(until=":alive", where="state = 'queued'")
    + " UNION ALL "
    + _QUEUED.format(until="ended_at", where="ended_at > :since AND started_at IS NULL")
    + "), spans (kind, priority, begin, end, weight) AS ("
    "SELECT 'waiting', priority, max(ready_at, program_runs.begin), min(started_at, program_runs.end), 1.0"
    " FROM waits JOIN program_runs ON ready_at < program_runs.end AND started_at > program_runs.begin"
    " UNION ALL SELECT 'busy', priority, started_at, over_at, 1.0 FROM base"
    " UNION ALL SELECT 'tokens', priority, first_at, over_at, tokens / (over_at - first_at)"
    "  FROM (SELECT priority, tokens, min(first_at, over_at - 0.001) AS first_at, over_at FROM base WHERE tokens > 0)"
    "), clipped AS (SELECT kind, priority, weight, max(0.0, (begin - :since) / :width) AS begin,"
    "  min(:buckets + 0.0, (end - :since) / :width) AS end FROM spans"
    ") SELECT kind, priority, CAST(begin AS INTEGER) AS first, min(:buckets - 1, CAST(end AS INTEGER)) AS last,"
    " total(weight), total(weight * begin), total(weight * end) FROM clipped WHERE end > begin GROUP BY 1, 2, 3, 4"
)
_WAITS = (
    "{base} SELECT priority, CAST((started_at - :since) / :width AS INTEGER), started_at - ready_at FROM base"
    " WHERE started_at >= :since AND started_at < :until"
)
_ENDS = (
    "SELECT priority, state, CAST((ended_at - :since) / :width AS INTEGER), count(*) FROM tasks"
    " WHERE ended_at >= :since AND ended_at < :until GROUP BY 1, 2, 3"
)


@dataclass(slots=True)
class Share:
    """The sums of one priority. Each list has one entry per bucket.

    Attributes:
        waiting: seconds that syscalls were ready and waited while a program ran. busy: slot-seconds.
        tokens: generated tokens.
        waits: the waiting times of the attempts that started in the bucket, in seconds, sorted.
        ended: counts of ended tasks by state: done, failed, cancelled.
    """

    waiting: list[float]
    busy: list[float]
    tokens: list[float]
    waits: list[list[float]]
    ended: dict[str, list[int]]

    @classmethod
    def empty(cls, buckets: int) -> Share:
        states = {state: [0] * buckets for state in ("done", "failed", "cancelled")}
        return cls([0.0] * buckets, [0.0] * buckets, [0.0] * buckets, [[] for _ in range(buckets)], states)


@dataclass(frozen=True, slots=True)
class Activity:
    """`since` ≤ time < `until`, Unix seconds, in `buckets` equal parts.

    Attributes:
        running: seconds in each bucket during which a program owned the history.
        capacity: slot-seconds in each bucket: the sum over programs of slots × seconds.
        slots: the largest number of slots of one program.
        shares: by priority; priorities without any activity are left out.
    """

    since: float
    until: float
    buckets: int
    running: list[float]
    capacity: list[float]
    slots: int
    shares: dict[int, Share] = field(repr=False)

    @property
    def width(self) -> float:
        """Seconds of one bucket."""
        return (self.until - self.since) / self.buckets


def activity(raw: sqlite3.Connection, since: float, until: float, buckets: int, *, alive: bool) -> Activity:
    """Compute it. `alive`: the newest program that has not ended is running now and was not killed."""
    buckets = max(1, min(buckets, MAX_BUCKETS))
    until = max(until, since + 0.001)
    runs = program_runs(raw, since, until, alive=alive)
    names = slots_seen(raw)
    width = (until - since) / buckets
    shares: defaultdict[int, Share] = defaultdict(lambda: Share.empty(buckets))
    over = runs[-1].end if runs else since
    values: dict[str, Any] = {"since": since, "until": until, "width": width, "buckets": buckets, "alive": over}
    values.update({f"slot{n}": name for n, name in enumerate(names)})
    base = _BASE.format(slots=", ".join(f":slot{n}" for n in range(len(names))))
    _add_intervals(shares, raw, base, runs, values)
    for priority, bucket, wait in raw.execute(_WAITS.format(base=base), values):
        shares[priority].waits[min(bucket, buckets - 1)].append(max(0.0, wait))
    for priority, state, bucket, count in raw.execute(_ENDS, values):
        if state in shares[priority].ended:
            shares[priority].ended[state][min(bucket, buckets - 1)] += count
    for share in shares.values():
        for waits in share.waits:
            waits.sort()
    running, capacity = _running_and_capacity(runs, since, width, buckets)
    return Activity(since, until, buckets, running, capacity, max((run.slots for run in runs), default=0), dict(shares))


def _add_intervals(
    shares: defaultdict[int, Share],
    raw: sqlite3.Connection,
    base: str,
    runs: Sequence[ProgramRun],
    values: dict[str, Any],
) -> None:
    """Add the intervals to `shares`, per bucket. The SQL returns them in units of buckets from the span's start."""
    width = values["width"]
    bounds = {f"begin{n}": run.begin for n, run in enumerate(runs)}
    bounds |= {f"end{n}": run.end for n, run in enumerate(runs)}
    rows = ", ".join(f"(:begin{n}, :end{n})" for n in range(len(runs))) or "(0, 0)"
    for kind, priority, first, last, weight, begins, ends in raw.execute(
        _SPANS.format(base=base, program_runs=rows), values | bounds
    ):
        into: list[float] = getattr(shares[priority], kind)
        if first == last:
            into[first] += (ends - begins) * width
            continue
        into[first] += (weight * (first + 1) - begins) * width
        into[last] += (ends - weight * last) * width
        for bucket in range(first + 1, last):
            into[bucket] += weight * width


def _running_and_capacity(
    runs: Iterable[ProgramRun], since: float, width: float, buckets: int
) -> tuple[list[float], list[float]]:
    """Seconds that programs ran, and their slot-seconds, per bucket."""
    running, capacity = [0.0] * buckets, [0.0] * buckets
    for run in runs:
        first = max(0, math.floor((run.begin - since) / width))
        last = min(buckets - 1, math.floor((run.end - since) / width))
        for bucket in range(first, last + 1):
            begin = since + bucket * width
            seconds = max(0.0, min(run.end, begin + width) - max(run.begin, begin))
            running[bucket] += seconds
            capacity[bucket] += seconds * run.slots
    return running, capacity
