"""One clock for times and durations."""

from __future__ import annotations

import time
from collections.abc import Callable


def unix_clock() -> Callable[[], float]:
    """A clock in Unix seconds that never goes back: the wall clock, read once, plus the monotonic clock."""
    origin = time.time() - time.monotonic()

    def now() -> float:
        return origin + time.monotonic()

    return now
