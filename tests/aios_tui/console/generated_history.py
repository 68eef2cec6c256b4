"""A past for the Metrics screen: a day with a gap in it, at fixed times."""

from __future__ import annotations

import random

from tests.aios_tui.console.scene import NOW
from tests.persistence.generated_activity import Made, MadeAttempt, MadeTask


def day(seed: int = 7) -> Made:
    """Tasks over 20 hours on two slots, more of them lately; for three hours nothing ran."""
    rng = random.Random(seed)
    tasks, free = [], [NOW - 72_000.0] * 2
    at = NOW - 72_000.0
    while at < NOW - 20:
        at += rng.expovariate(1 / (12 if at > NOW - 900 else 120 if at > NOW - 3_600 else 600))
        if NOW - 40_000 < at < NOW - 29_200 or at >= NOW - 1:
            continue
        slot = free.index(min(free))
        begin = max(at, free[slot])
        end = begin + rng.uniform(5, 40)
        priority = rng.choice([0, 2, 5, 5, 5, 9])
        tokens = int((end - begin) * rng.uniform(20, 60))
        if end >= NOW:
            if begin < NOW:
                running = MadeAttempt(at, begin, None, f"ollama/{slot}")
                tasks.append(MadeTask(at, priority, (running,), started=begin))
            else:
                tasks.append(MadeTask(at, priority))
        else:
            state = rng.choices(["done", "failed", "cancelled"], [20, 2, 1])[0]
            attempt = MadeAttempt(at, begin, end, f"ollama/{slot}", tokens, 0.4)
            tasks.append(MadeTask(at, priority, (attempt,), end, state, begin))
        free[slot] = end
    return Made(tasks, ((NOW - 72_500, NOW - 40_000), (NOW - 29_200, None)))
