"""An independent simulator: slow, without a heap or a key, that looks at everything again at every moment.

Everything is whole numbers and fractions, so that it is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass
class Job:
    at: int
    priority: int
    rounds: list[int]
    start: int = -1
    end: int = -1
    busy_until: int = -1
    done: int = 0

    def urgency(self, now: int, ageing: float | None) -> Fraction:
        """Smaller is more urgent. `ageing` None: by arrival; ∞: by priority; T: a level for each T seconds waited."""
        if ageing is None:
            return Fraction(self.at)
        if math.isinf(ageing):
            return Fraction(self.priority)
        return self.priority - Fraction(now - self.at) / Fraction(ageing)


def brute_force(jobs: list[Job], slots: int, policies: list[tuple[int, float | None]]) -> list[int]:
    """Run the jobs, one second after another; `policies` are (from when, ageing). Returns the order of first starts."""
    order: list[int] = []
    now = 0
    while any(job.end < 0 for job in jobs):
        for job in jobs:
            if job.busy_until == now:
                job.busy_until = -1
                job.done += 1
                if job.done == len(job.rounds):
                    job.end = now
        ageing = [policy for since, policy in policies if since <= now][-1]
        while True:
            executing = sum(job.busy_until >= 0 for job in jobs)
            ready = [i for i, j in enumerate(jobs) if j.at <= now and j.end < 0 and j.busy_until < 0]
            if executing == slots or not ready:
                break
            best = min(ready, key=lambda i: (jobs[i].urgency(now, ageing), i))
            job = jobs[best]
            if job.start < 0:
                job.start = now
                order.append(best)
            job.busy_until = now + job.rounds[job.done]
        now += 1
    return order
