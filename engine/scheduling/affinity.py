"""Model affinity, an option of any policy: items whose model is loaded may go first, within a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.scheduling.policy import Policy, Rankable

MAX_PASSES = 1_000_000
MAX_SECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Affinity:
    """The policy `inner`, but its head may be passed by items that need no load and are no less urgent.

    Attributes:
        passes: how often a head is passed at most. seconds: for how long after its first pass. math.inf is no limit;
            one of them is finite, both are above 0.
    """

    inner: Policy
    passes: float = math.inf
    seconds: float = math.inf

    @property
    def name(self) -> str:
        limits = []
        if not math.isinf(self.passes):
            limits.append(f"affinity={int(self.passes)}")
        if not math.isinf(self.seconds):
            limits.append(f"affinity_s={repr(float(self.seconds)).removesuffix('.0')}")
        return ",".join([self.inner.name + ("," if ":" in self.inner.name else ":") + limits[0], *limits[1:]])

    def rank(self, item: Rankable) -> float:
        return self.inner.rank(item)

    def level(self, item: Rankable) -> float:
        return self.inner.level(item)

    def lets_pass(self, passed: int, since: float | None, now: float) -> bool:
        """Return True when a head that was passed `passed` times, first at `since`, may be passed once more."""
        return passed < self.passes and (since is None or now - since < self.seconds)


def with_affinity(inner: Policy, passes: float = math.inf, seconds: float = math.inf) -> Policy:
    """Return `inner` with these bounds, `inner` itself without any or with one of 0. Raises ValueError out of range."""
    if passes != math.inf and not (0 <= passes <= MAX_PASSES and passes == int(passes)):
        raise ValueError(f"affinity is a whole number of passes, from 0 to {MAX_PASSES}, or inf")
    if seconds != math.inf and not 0 <= seconds <= MAX_SECONDS:
        raise ValueError("affinity_s is a number of seconds, from 0 to 1e9, or inf")
    if min(passes, seconds) == 0 or (math.isinf(passes) and math.isinf(seconds)):
        return inner
    return Affinity(inner, passes, seconds)


def with_affinity_of(other: Policy, inner: Policy) -> Policy:
    """Return `inner` with `other`'s affinity bounds, in place of its own."""
    plain = inner.inner if isinstance(inner, Affinity) else inner
    return Affinity(plain, other.passes, other.seconds) if isinstance(other, Affinity) else plain
