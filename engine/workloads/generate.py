"""Generate workloads: Poisson or bursty arrivals, classes of tasks, service times and token counts by distribution."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from engine.errors import UsageError
from engine.sanitise import one_line
from engine.task import DEFAULT_PRIORITY
from engine.workloads.format import TaskRow, WorkloadHeader

_SHAPES: dict[str, tuple[int, Callable[[random.Random, Sequence[float]], float]]] = {
    "const": (1, lambda rng, p: p[0]),
    "exp": (1, lambda rng, p: rng.expovariate(1) * p[0]),
    "uniform": (2, lambda rng, p: rng.uniform(p[0], p[1])),
    "gamma": (2, lambda rng, p: rng.gammavariate(1 / p[1] ** 2, p[0] * p[1] ** 2) if p[1] else p[0]),
    "lognormal": (2, lambda rng, p: _lognormal(rng, p[0], p[1])),
}


def _lognormal(rng: random.Random, mean: float, cv: float) -> float:
    variance = math.log1p(cv * cv)
    return mean * math.exp(rng.gauss(-variance / 2, math.sqrt(variance)))


@dataclass(frozen=True, slots=True)
class Draw:
    """A distribution of non-negative numbers, as text.

    `const:X`, `exp:MEAN`, `uniform:LOW,HIGH`, `gamma:MEAN,CV`, `lognormal:MEAN,CV`; CV is the coefficient of
    variation, standard deviation over mean.
    """

    text: str

    def __post_init__(self) -> None:
        self._parsed()

    def _parsed(self) -> tuple[Callable[[random.Random, Sequence[float]], float], tuple[float, ...]]:
        name, _, tail = self.text.strip().partition(":")
        try:
            parameters = tuple(float(part) for part in tail.split(","))
        except ValueError:
            parameters = ()
        count, draw = _SHAPES.get(name, (0, None))
        if draw is None or len(parameters) != count or not all(0 <= p < math.inf for p in parameters):
            raise UsageError(
                f"{one_line(self.text, 60)!r} is not a distribution: "
                "const:X, exp:MEAN, uniform:LOW,HIGH, gamma:MEAN,CV or lognormal:MEAN,CV, with numbers of 0 or more"
            )
        return draw, parameters

    def sampler(self, rng: random.Random) -> Callable[[], float]:
        """Return a function that draws from it with `rng`."""
        draw, parameters = self._parsed()
        return lambda: draw(rng, parameters)


@dataclass(frozen=True, slots=True)
class TaskClass:
    """One class of task in a generated workload.

    `share` is its weight among the classes. With `service`, tasks carry their seconds of execution for virtual time;
    their token counts then serve live replays only.
    """

    share: float = 1.0
    priority: int = DEFAULT_PRIORITY
    agent: str = "chat"
    client: str | None = None
    model: str | None = None
    input_tokens: Draw = Draw("lognormal:400,1")
    output_tokens: Draw = Draw("lognormal:150,0.8")
    service: Draw | None = None


def generate(
    count: int,
    rate: float,
    *,
    seed: int = 0,
    burstiness: float = 1.0,
    classes: Sequence[TaskClass] = (TaskClass(),),
) -> tuple[WorkloadHeader, Iterator[TaskRow]]:
    """Generate `count` tasks that arrive at `rate` a second on average; the first arrives after one gap.

    `burstiness` is the coefficient of variation of the gaps: 1 is a Poisson process, 0 regular, above 1 bursty with
    gamma-distributed gaps. The same arguments give the same tasks.

    Raises:
        UsageError: a number is out of range.
    """
    if count < 0 or not 0 < rate < math.inf or not 0 <= burstiness <= 100:
        raise UsageError("a workload has 0 or more tasks, a rate above 0 a second, and a burstiness of 0 … 100")
    if not classes or not all(0 < kind.share < math.inf for kind in classes):
        raise UsageError("a class's share is a number above 0, and there is at least one class")
    named = "Poisson" if burstiness == 1 else f"gamma, CV {burstiness:g}"
    header = WorkloadHeader(seed=seed).noting(
        what=f"generated: {count} tasks at {rate:g} a second ({named})",
        assigned="; ".join(_describe(kind) for kind in classes) + f"; from seed {seed}",
    )
    return header, _tasks(count, rate, seed, burstiness, classes)


def _describe(kind: TaskClass) -> str:
    work = f"service {kind.service.text} s, " if kind.service else ""
    return (
        f"share {kind.share:g}: priority {kind.priority}, agent {kind.agent}, {work}"
        f"input {kind.input_tokens.text}, output {kind.output_tokens.text} tokens"
    )


def _tasks(count: int, rate: float, seed: int, burstiness: float, classes: Sequence[TaskClass]) -> Iterator[TaskRow]:
    # A random stream each, so that other classes leave the arrivals unchanged.
    gaps = random.Random(f"{seed}/gaps")
    gap = Draw(f"exp:{1 / rate!r}" if burstiness == 1 else f"gamma:{1 / rate!r},{burstiness!r}").sampler(gaps)
    chosen, cumulated = random.Random(f"{seed}/classes"), list(accumulate(kind.share for kind in classes))
    rngs = {field: random.Random(f"{seed}/{field}") for field in ("input", "output", "service")}
    samplers = [
        (
            kind.input_tokens.sampler(rngs["input"]),
            kind.output_tokens.sampler(rngs["output"]),
            kind.service.sampler(rngs["service"]) if kind.service else None,
        )
        for kind in classes
    ]
    at = 0.0
    for number in range(count):
        at += gap()
        (which,) = chosen.choices(range(len(classes)), cum_weights=cumulated)
        kind, (draw_input, draw_output, draw_service) = classes[which], samplers[which]
        yield TaskRow(
            id=f"t{number + 1}",
            at=at,
            agent=kind.agent,
            priority=kind.priority,
            client=kind.client,
            model=kind.model,
            input_tokens=max(1, round(draw_input())),
            output_tokens=max(1, round(draw_output())),
            service=draw_service() if draw_service else None,
        )
