"""The simulator against queueing theory: M/M/c with priorities (Cobham), M/M/1 and M/G/1, with confidence intervals.

Seeds are fixed, so each of these either holds or not. The lowest class waits in long, dependent stretches and needs by
far the most tasks, so each class has its own bound on how wide its interval may be: without one, a wide interval would
hold anything.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from engine.replay.simulate import Capacity, simulate
from engine.scheduling import parse_policy
from tests.engine.replay.helpers import CLASSES, cobham, interval, poisson, waits

N = 500_000
FIXED = {1: (0.9524, 1.5873, 6.6667), 4: (0.1775, 0.2958, 1.2426)}
WIDEST = (0.05, 0.05, 0.15)


@pytest.mark.parametrize("slots", [1, 4])
def test_cobham(slots: int) -> None:
    assert [round(wait, 4) for wait in cobham(0.8, slots)] == list(FIXED[slots])
    tasks = poisson(N, 0.8 * slots, lambda rng: rng.expovariate(1), seed=11)
    run = simulate(tasks, parse_policy("npps"), Capacity(slots))
    for klass, expected, widest in zip(CLASSES, FIXED[slots], WIDEST, strict=True):
        mean, half = interval(waits(run, klass))
        assert half < widest * expected
        assert mean == pytest.approx(expected, abs=half)


@pytest.mark.parametrize(
    ("name", "draw", "mean", "second_moment"),
    [
        ("M/M/1", lambda rng: rng.expovariate(1), 1.0, 2.0),
        ("M/D/1", lambda rng: 1.0, 1.0, 1.0),
        ("M/U/1", lambda rng: rng.uniform(0, 2), 1.0, 4 / 3),
        ("M/LN/1", lambda rng: rng.lognormvariate(-0.125, 0.5), 1.0, math.exp(0.25)),
    ],
)
@pytest.mark.parametrize("rho", [0.5, 0.7])
def test_pollaczek_khinchine(
    name: str, draw: Callable[[random.Random], float], mean: float, second_moment: float, rho: float
) -> None:
    """M/G/1 under FIFO: Wq = λ E[S²] / (2 (1 − ρ)); for exponential service that is ρ / (μ − λ)."""
    expected = rho * second_moment / (2 * (1 - rho * mean))
    if name == "M/M/1":
        assert expected == pytest.approx(rho / (1 - rho))
    measured, half = interval(waits(simulate(poisson(80_000, rho, draw, seed=7), parse_policy("fifo"))))
    assert half < 0.12 * expected
    assert measured == pytest.approx(expected, abs=half)


def test_mg1_with_priorities() -> None:
    """Cobham for a general service time: W0 = λ E[S²] / 2."""
    rho = 0.7
    tasks = poisson(150_000, rho, lambda rng: rng.uniform(0, 2), seed=13)
    run = simulate(tasks, parse_policy("npps"))
    scale = (rho * (4 / 3) / 2) / rho  # W0 over the W0 of exponential service, ρ
    for klass, exponential, widest in zip(CLASSES, cobham(rho), (0.04, 0.04, 0.12), strict=True):
        mean, half = interval(waits(run, klass))
        assert half < widest * exponential * scale
        assert mean == pytest.approx(exponential * scale, abs=half)


def test_ageing_lies_between_fifo_and_strict_priorities() -> None:
    tasks = poisson(60_000, 0.8, lambda rng: rng.expovariate(1), seed=17)
    means = {
        policy: [interval(waits(simulate(tasks, parse_policy(policy)), klass))[0] for klass in CLASSES]
        for policy in ("fifo", "npps:ageing=0.2", "npps:ageing=1", "npps")
    }
    urgent = [means[policy][0] for policy in means]
    patient = [means[policy][2] for policy in means]
    assert urgent == sorted(urgent, reverse=True)
    assert patient == sorted(patient)
