"""Compute the numbers of the Metrics screen and of `history metrics` from the history's sums; see docs/metrics.md.

Rates are per second in which a program had the history open: while none ran, nothing could happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.replay.metrics import quantile

if TYPE_CHECKING:
    from persistence.activity import Activity, Share

Curve = tuple[float | None, ...]
"""A value per bucket; None where no program ran, or where a quantile has no samples."""

NAMES = ("queue", "waiting_p50_s", "waiting_p95_s", "throughput_per_min", "tokens_per_s", "utilisation")


@dataclass(frozen=True, slots=True)
class Measure:
    """Measures of all tasks, or of one priority's.

    Attributes:
        curves: by the names in NAMES. totals: the same names, over the whole span.
        ended, done, failed, cancelled: tasks. started: attempts. tokens: written. busy_s: slot-seconds.
    """

    curves: dict[str, Curve] = field(repr=False)
    totals: dict[str, float | None]
    ended: int
    done: int
    failed: int
    cancelled: int
    started: int
    tokens: float
    busy_s: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of `since` ≤ time < `until`, Unix seconds; `running_s` of it a program ran; `slots` were seen."""

    since: float
    until: float
    buckets: int
    running_s: float
    slots: int
    all: Measure
    by_priority: dict[int, Measure]

    @property
    def width(self) -> float:
        """Seconds of one bucket."""
        return (self.until - self.since) / self.buckets

    def of(self, priority: int | None) -> Measure:
        """Return the measure of a priority if there is one, else of all tasks."""
        return self.all if priority is None else self.by_priority.get(priority, self.all)

    def record(self) -> dict[str, Any]:
        """Return it for JSON: whole tokens, seconds to the millisecond, other numbers with six significant digits."""
        span = {name: round(getattr(self, name), 3) for name in ("since", "until", "buckets", "running_s", "slots")}
        levels = {str(level): _record(measure) for level, measure in self.by_priority.items()}
        return {**span, "all": _record(self.all), "by_priority": levels}


def measure(activity: Activity) -> Measures:
    """Compute the measures. O(n log n) in the number of attempts; blocks."""
    shares = activity.shares
    return Measures(
        since=activity.since,
        until=activity.until,
        buckets=activity.buckets,
        running_s=sum(activity.running),
        slots=activity.slots,
        all=_measure(activity, list(shares.values())),
        by_priority={level: _measure(activity, [shares[level]]) for level in sorted(shares)},
    )


def _measure(activity: Activity, shares: Sequence[Share]) -> Measure:
    running, capacity = activity.running, activity.capacity
    waiting, busy, tokens = (_summed(activity, shares, name) for name in ("waiting", "busy", "tokens"))
    waits = [sorted(wait for share in shares for wait in share.waits[n]) for n in range(activity.buckets)]
    every = sorted(wait for bucket in waits for wait in bucket)
    states = {
        state: [sum(share.ended[state][n] for share in shares) for n in range(activity.buckets)]
        for state in ("done", "failed", "cancelled")
    }
    ends = [float(sum(column)) for column in zip(*states.values(), strict=True)]
    minutes = [seconds / 60 for seconds in running]
    values: dict[str, tuple[Curve, float | None]] = {
        "queue": (_per(waiting, running), _ratio(sum(waiting), sum(running))),
        "waiting_p50_s": (tuple(_quantile(bucket, 0.5) for bucket in waits), _quantile(every, 0.5)),
        "waiting_p95_s": (tuple(_quantile(bucket, 0.95) for bucket in waits), _quantile(every, 0.95)),
        "throughput_per_min": (_per(ends, minutes), _ratio(sum(ends), sum(minutes))),
        "tokens_per_s": (_per(tokens, running), _ratio(sum(tokens), sum(running))),
        "utilisation": (_per(busy, capacity), _ratio(sum(busy), sum(capacity))),
    }
    return Measure(
        curves={name: curve for name, (curve, _) in values.items()},
        totals={name: total for name, (_, total) in values.items()},
        ended=int(sum(ends)),
        **{state: sum(counts) for state, counts in states.items()},
        started=len(every),
        tokens=sum(tokens),
        busy_s=sum(busy),
    )


def _summed(activity: Activity, shares: Sequence[Share], name: str) -> list[float]:
    return [float(sum(getattr(share, name)[n] for share in shares)) for n in range(activity.buckets)]


def _per(amounts: Sequence[float], over: Sequence[float]) -> Curve:
    return tuple(_ratio(amount, each) for amount, each in zip(amounts, over, strict=True))


def _ratio(amount: float, over: float) -> float | None:
    return amount / over if over > 0 else None


def _quantile(ranked: Sequence[float], q: float) -> float | None:
    return quantile(ranked, q) if ranked else None


def _record(measure: Measure) -> dict[str, Any]:
    counts = ("ended", "done", "failed", "cancelled", "started")
    return {
        **{name: getattr(measure, name) for name in counts},
        "tokens": round(measure.tokens),
        "busy_s": round(measure.busy_s, 3),
        **{name: _short(total) for name, total in measure.totals.items()},
        "curves": {name: [_short(value) for value in curve] for name, curve in measure.curves.items()},
    }


def _short(value: float | None) -> float | None:
    """Round away the residue of binary fractions."""
    return None if value is None else float(f"{value:.6g}")
