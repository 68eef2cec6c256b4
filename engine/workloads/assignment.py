"""What a trace does not say, drawn from stated weights and a seed: priorities, agents, clients."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from engine.errors import UsageError
from engine.sanitise import one_line
from engine.task import LEAST_URGENT, MOST_URGENT

Weights = tuple[tuple[str, float], ...]

DEFAULT_PRIORITIES: Weights = (("1", 0.2), ("5", 0.5), ("8", 0.3))
DEFAULT_AGENTS: Weights = (("chat", 1.0),)
DEFAULT_CLIENTS: Weights = (("ada", 0.4), ("bob", 0.3), ("cyd", 0.2), ("dee", 0.1))


def parse_weights(text: str, what: str) -> Weights:
    """Read `1:0.2,5:0.5,8:0.3`; a name without a weight has 1.

    Raises:
        UsageError: a weight is not a positive number, a name is empty or comes twice, or a priority is none.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = part.strip().rpartition(":")
        if not colon:
            name, number = number, "1"
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if not name or name in weights or not 0 < weight < float("inf"):
            raise UsageError(f"{what} {one_line(text, 80)!r}: {one_line(part, 40)!r} is not a new NAME:WEIGHT")
        weights[name] = weight
    if what == "priorities" and not all(n.isdecimal() and MOST_URGENT <= int(n) <= LEAST_URGENT for n in weights):
        raise UsageError(f"{what} {one_line(text, 80)!r}: priorities are {MOST_URGENT} … {LEAST_URGENT}")
    return tuple(weights.items())


@dataclass(frozen=True, slots=True)
class Assignment:
    """How to draw; empty weights leave a field as it is.

    Each field has its own stream of the seed, so that other weights for one leave the others' draws alone.
    """

    seed: int = 0
    priorities: Weights = DEFAULT_PRIORITIES
    agents: Weights = DEFAULT_AGENTS
    clients: Weights = DEFAULT_CLIENTS

    def describe(self) -> str:
        """One line for the header's origin."""
        fields = {"priority": self.priorities, "agent": self.agents, "client": self.clients}
        said = [
            f"{field} by weights {' '.join(f'{name}:{weight:g}' for name, weight in weights)}"
            for field, weights in fields.items()
            if weights
        ]
        return f"{', '.join(said)}, drawn independently from seed {self.seed}" if said else "nothing"

    def draws(self) -> Iterator[Mapping[str, Any]]:
        """For each task of a workload, in order, the fields drawn for it. Endless."""
        fields = {"priority": self.priorities, "agent": self.agents, "client": self.clients}
        streams = {
            field: (
                random.Random(f"{self.seed}/{field}"),
                [n for n, _ in weights],
                list(accumulate(w for _, w in weights)),
            )
            for field, weights in fields.items()
            if weights
        }
        while True:
            drawn: dict[str, Any] = {
                field: rng.choices(names, cum_weights=cumulated)[0]
                for field, (rng, names, cumulated) in streams.items()
            }
            if "priority" in drawn:
                drawn["priority"] = int(drawn["priority"])
            yield drawn
