"""The kernel's settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """Limits of the kernel. All times in seconds; None means no limit.

    Attributes:
        first_token_s: from dispatch to the first chunk. gap_s: between two chunks.
        total_s: one whole attempt.
        max_attempts: attempts per syscall, including the first; also interruptions after which a task fails.
        backoff_s, backoff_max_s: the first and the longest pause before a retry; doubled each time, with jitter.
        stop_grace_s: time that a core gets to stop an attempt before its slot is quarantined as suspect.
        max_reply_chars: longer replies are a fault.
    """

    first_token_s: float | None = 300.0
    gap_s: float | None = 120.0
    total_s: float | None = 1800.0
    max_attempts: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 30.0
    stop_grace_s: float = 10.0
    max_reply_chars: int = 4_194_304
