"""Sample paths to simulate, the formulas they must meet, and confidence intervals for what is measured of them."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from engine.replay.tables import Run, TaskColumns

SHARES = (0.2, 0.3, 0.5)
CLASSES = (0, 4, 9)
"""The priorities that stand for the formulas' classes 1, 2, 3."""


def poisson(n: int, rate: float, service: Callable[[random.Random], float], seed: int) -> TaskColumns:
    """A path of n tasks: Poisson arrivals, classes by SHARES, service drawn alike for all classes."""
    rng = random.Random(seed)
    at, priority, served = array("d"), array("b"), array("d")
    clock = 0.0
    for klass in rng.choices(CLASSES, SHARES, k=n):
        clock += rng.expovariate(rate)
        at.append(clock)
        priority.append(klass)
        served.append(service(rng))
    return TaskColumns(at, priority, served)


def cobham(rho: float, slots: int = 1, mu: float = 1.0) -> list[float]:
    """Mean waits of the classes of SHARES under non-preemptive priorities, M/M/c, one mean service time for all.

    Cobham (1954): W0 / ((1 − σ_{k−1})(1 − σ_k)), where W0 is Erlang's C over c·μ.
    """
    load = rho * slots
    blocked = load**slots / math.factorial(slots) / (1 - rho)
    erlang_c = blocked / (sum(load**k / math.factorial(k) for k in range(slots)) + blocked)
    waits, sigma = [], 0.0
    for share in SHARES:
        before, sigma = sigma, sigma + rho * share
        waits.append(erlang_c / (slots * mu) / ((1 - before) * (1 - sigma)))
    return waits


def waits(run: Run, priority: int | None = None) -> list[float]:
    """Waiting times in order of arrival, of one priority or of all."""
    tasks = run.tasks
    return [s - a for s, a, p in zip(run.start, tasks.at, tasks.priority, strict=True) if priority in (None, p)]


def interval(values: Sequence[float], batches: int = 20, t: float = 3.883) -> tuple[float, float]:
    """Mean and half-width of its confidence interval by batch means; `t` is Student's for 19 degrees, 99.9 %."""
    size = len(values) // batches
    warm = values[len(values) - size * batches :]
    means = [fmean(warm[i * size : (i + 1) * size]) for i in range(batches)]
    return fmean(means), t * stdev(means) / math.sqrt(batches)


def compare_order(one: Run, other: Run) -> int | None:
    """The index of the first dispatch in which two runs of one workload differ; None if they agree."""
    for index, (left, right) in enumerate(zip(one.order, other.order, strict=False)):
        if one.tasks.id(left) != other.tasks.id(right):
            return index
    shorter = min(len(one.order), len(other.order))
    return None if len(one.order) == len(other.order) else shorter
