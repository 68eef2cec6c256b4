"""Draw priorities, agents and clients for traces that lack them, from stated weights and a seed."""

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


def parse_weights(text: str, option: str) -> Weights:
    """Parse `1:0.2,5:0.5,8:0.3`; a name without a weight has 1. `option` names it in errors.

    Raises:
        UsageError: a weight is not a positive number, a name is empty or comes twice, or a priority is out of range.
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
            raise UsageError(f"{option} {one_line(text, 80)!r}: {one_line(part, 40)!r} is not a new NAME:WEIGHT")
        weights[name] = weight
    if option == "priorities" and not all(n.isdecimal() and MOST_URGENT <= int(n) <= LEAST_URGENT for n in weights):
        raise UsageError(f"{option} {one_line(text, 80)!r}: priorities are {MOST_URGENT} … {LEAST_URGENT}")
    return tuple(weights.items())


@dataclass(frozen=True, slots=True)
class Assignment:
    """Weights and seed of the draws; empty weights leave a field unchanged.

    Each field has a random stream of its own, so changing the weights of one leaves the others' draws unchanged.
    """

    seed: int = 0
    priorities: Weights = DEFAULT_PRIORITIES
    agents: Weights = DEFAULT_AGENTS
    clients: Weights = DEFAULT_CLIENTS

    def describe(self) -> str:
        """Return one line for the header's origin."""
        fields = {"priority": self.priorities, "agent": self.agents, "client": self.clients}
        drawn = [
            f"{field} by weights {' '.join(f'{name}:{weight:g}' for name, weight in weights)}"
            for field, weights in fields.items()
            if weights
        ]
        return f"{', '.join(drawn)}, drawn independently from seed {self.seed}" if drawn else "nothing"

    def draws(self) -> Iterator[Mapping[str, Any]]:
        """Yield the drawn fields of each task in order, without end."""
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
