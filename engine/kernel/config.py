"""The kernel's own settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """All times in seconds; None means without limit.

    Attributes:
        first_token_s: from dispatch to the first sign of progress. gap_s: between two pieces of a stream.
        total_s: one whole attempt.
        max_attempts: tries of one syscall, the first among them; also how often a task may be found interrupted.
        backoff_s, backoff_max_s: the first wait before another try, and the longest; doubled each time, with jitter.
        stop_grace_s: how long a core may take to stop an attempt before its slot is set aside as suspect.
        max_reply_chars: a longer reply is a fault.
    """

    first_token_s: float | None = 300.0
    gap_s: float | None = 120.0
    total_s: float | None = 1800.0
    max_attempts: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 30.0
    stop_grace_s: float = 10.0
    max_reply_chars: int = 4_194_304
