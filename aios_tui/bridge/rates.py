"""Throughput over the last minutes, in fixed small memory."""

from __future__ import annotations

from collections import deque

BUCKET_S = 5
BUCKETS = 60


class Rates:
    """Tokens and finished tasks in buckets of `BUCKET_S` seconds, `BUCKETS` of them: five minutes."""

    __slots__ = ("_buckets", "_ends", "_first")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._ends: deque[float] = deque(maxlen=1_000)
        self._first: float | None = None

    def add_tokens(self, at: float, count: int) -> None:
        """`count` tokens came at `at`."""
        if self._first is None:
            self._first = at
        number = int(at // BUCKET_S)
        self._buckets[number] = self._buckets.get(number, 0) + count
        if len(self._buckets) > BUCKETS:
            del self._buckets[min(self._buckets)]

    def add_end(self, at: float) -> None:
        """A task ended well at `at`."""
        self._ends.append(at)

    def history(self, now: float) -> list[float]:
        """Tokens per second in each bucket, oldest first, the running one last; zero where nothing came."""
        last = int(now // BUCKET_S)
        return [self._buckets.get(number, 0) / BUCKET_S for number in range(last - BUCKETS + 1, last + 1)]

    def tokens_per_s(self, now: float, window: float = 10.0) -> float:
        """Tokens a second over about the last `window` seconds, less at the start."""
        if self._first is None:
            return 0.0
        since = int((now - window) // BUCKET_S)
        total = sum(count for number, count in self._buckets.items() if number > since)
        covered = min(now - (since + 1) * BUCKET_S, now - self._first)
        return total / max(1.0, covered)

    def tasks_per_minute(self, now: float) -> float:
        """Tasks that ended well within the last minute."""
        return float(sum(1 for at in self._ends if at > now - 60))
