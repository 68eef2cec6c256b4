"""Sums, durations and samples over a sliding window of minutes, in constant memory.

Time is divided into buckets of equal length that begin at multiples of it. The window at a time is the bucket of that
time and the ones before it, `count` in all. Nothing here reads a clock: every time is an argument.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

from engine.replay.metrics import quantile

BUCKET_S = 5
BUCKETS = 60
MAX_SAMPLES = 1_000


class Sums:
    """Sums per bucket. `size_s`: a bucket's length in seconds; `count`: buckets in the window."""

    __slots__ = ("_first", "_last", "_sums", "count", "size_s")

    def __init__(self, size_s: int = BUCKET_S, count: int = BUCKETS) -> None:
        self.size_s, self.count = size_s, count
        self._sums = [0.0] * count
        self._last: int | None = None
        self._first: float | None = None

    def add(self, at: float, amount: float = 1.0) -> None:
        """Add `amount` at `at`; ignored when that is before the window of the latest addition."""
        number = int(at // self.size_s)
        if number != self._last:
            if self._last is None or number > self._last:
                self._advance(number)
            elif number <= self._last - self.count:
                return
            if self._first is None or at < self._first:
                self._first = at
        self._sums[number % self.count] += amount

    def add_span(self, since: float, until: float) -> None:
        """Add the seconds from `since` to `until`, to each bucket its part."""
        number = max(int(since // self.size_s), int(until // self.size_s) - self.count + 1)
        since = max(since, number * self.size_s)
        while since < until:
            number += 1
            edge = min(until, number * self.size_s)
            self.add((number - 0.5) * self.size_s, edge - since)
            since = edge

    def series(self, now: float) -> list[float]:
        """Return the sum of each bucket in the window at `now`, oldest first."""
        end = int(now // self.size_s) + 1
        last = self._last
        if last is None:
            return [0.0] * self.count
        kept = range(max(end, last + 1) - self.count, min(end, last + 1))
        first = end - self.count
        values = [0.0] * self.count
        for number in kept:
            if number > last - self.count:
                values[number - first] = self._sums[number % self.count]
        return values

    def total(self, now: float) -> float:
        """Return the sum over the window at `now`."""
        if self._last == int(now // self.size_s):
            return sum(self._sums)
        return sum(self.series(now))

    def per_s(self, now: float, over_s: float = 10.0) -> float:
        """Return the amount per second over about the last `over_s` seconds: whole buckets and the current one.

        The time starts at the first amount ever if that is later, and is a second at least.
        """
        if self._first is None:
            return 0.0
        since = int((now - over_s) // self.size_s) + 1
        end = int(now // self.size_s) + 1
        recent = self.series(now)[self.count - (end - since) :]
        return sum(recent) / max(1.0, min(now - since * self.size_s, now - self._first))

    def _advance(self, number: int) -> None:
        """Clear the buckets that leave the window when it ends with `number`."""
        if self._last is not None:
            for gone in range(self._last + 1, min(number, self._last + self.count) + 1):
                self._sums[gone % self.count] = 0.0
        self._last = number


class Durations:
    """Seconds that a state lasted within the window, over all its intervals."""

    __slots__ = ("_past", "_since")

    def __init__(self) -> None:
        self._past = Sums()
        self._since: float | None = None

    def begin(self, at: float) -> None:
        """Begin an interval at `at`; ignored inside one."""
        if self._since is None:
            self._since = at

    def end(self, at: float) -> None:
        """End the interval at `at`; ignored outside one."""
        if self._since is not None:
            self._past.add_span(self._since, at)
            self._since = None

    def seconds(self, now: float) -> float:
        """Return the seconds within the window at `now`."""
        total = self._past.total(now)
        if self._since is not None:
            begin = (int(now // BUCKET_S) - BUCKETS + 1) * BUCKET_S
            total += max(0.0, now - max(self._since, begin))
        return total


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Median and 95th percentile of `n` samples, linear between order statistics."""

    n: int
    p50: float
    p95: float


class Samples:
    """Samples of the window, at most `MAX_SAMPLES`: the oldest are dropped first."""

    __slots__ = ("_by_bucket", "_ranked")

    def __init__(self) -> None:
        self._by_bucket: dict[int, list[float]] = {}
        self._ranked: list[float] = []

    def add(self, at: float, value: float) -> None:
        """Add `value`, measured at `at`."""
        number = int(at // BUCKET_S)
        self._drop_until(number - BUCKETS)
        self._by_bucket.setdefault(number, []).append(value)
        insort(self._ranked, value)
        if len(self._ranked) > MAX_SAMPLES:
            oldest = min(self._by_bucket)
            values = self._by_bucket[oldest]
            self._unrank(values.pop(0))
            if not values:
                del self._by_bucket[oldest]

    def quantiles(self, now: float) -> Quantiles | None:
        """Return the quantiles of the window at `now`, None without samples. `now` must not decrease."""
        self._drop_until(int(now // BUCKET_S) - BUCKETS)
        ranked = self._ranked
        return Quantiles(len(ranked), quantile(ranked, 0.5), quantile(ranked, 0.95)) if ranked else None

    def _drop_until(self, until: int) -> None:
        """Drop the buckets up to number `until`."""
        gone = [number for number in self._by_bucket if number <= until]
        for number in gone:
            for value in self._by_bucket.pop(number):
                self._unrank(value)

    def _unrank(self, value: float) -> None:
        del self._ranked[bisect_left(self._ranked, value)]
