"""The service model of virtual time: the seconds that a task takes on a slot, from its tokens."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

CHARS_PER_TOKEN = 4.0
"""A rule of thumb for English, used only for prompts without a count."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second of one stream on one slot: reading the prompt, and writing the reply."""

    prefill: float = 1000.0
    decode: float = 50.0

    def __post_init__(self) -> None:
        if not (self.prefill > 0 and self.decode > 0 and math.isfinite(self.prefill) and math.isfinite(self.decode)):
            raise ValueError("prefill and decode are tokens per second, more than 0")


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """Service times of tasks.

    A task takes exactly `input_tokens / prefill + output_tokens / decode` seconds at its model's rates. If the
    workload gives a service time, that is used instead, unless `use_given` is off. A prompt without a count is taken as
    a token for each 4 characters, a reply without one as `reply_tokens`, or with a `seed` drawn from an exponential
    distribution of that mean; the task is counted in `ReplayInput.estimated`.
    """

    rates: Rates = Rates()
    per_model: Mapping[str, Rates] = field(default_factory=dict)
    use_given: bool = True
    reply_tokens: int = 128
    seed: int | None = None

    def replies(self) -> Callable[[], int]:
        """Return a function that gives the tokens of each next reply without a count."""
        if self.seed is None:
            return lambda: self.reply_tokens
        rng = random.Random(f"{self.seed}/replies")
        return lambda: max(1, round(rng.expovariate(1 / self.reply_tokens)))

    def rates_for(self, model: str | None) -> Rates:
        """Return the model's own rates, or those for all models."""
        return self.per_model.get(model, self.rates) if model else self.rates


Timing = tuple[str | None, int, int, float, float]
"""An ended attempt: its model, tokens read and written, and the seconds to read the prompt and to write the reply."""


def calibrate(timings: Iterable[Timing]) -> tuple[Rates, dict[str, Rates]]:
    """Return the rates over all models and of each model: all tokens over all seconds, so long attempts weigh more.

    Attempts without seconds or tokens of a kind do not count for that rate.

    Raises:
        ValueError: no attempt has tokens and seconds of prefill, or of decoding.
    """
    sums: dict[str | None, list[float]] = {}
    for model, read, written, prefill_s, decode_s in timings:
        for key in {None, model}:
            total = sums.setdefault(key, [0.0, 0.0, 0.0, 0.0])
            if read > 0 and prefill_s > 0:
                total[0] += read
                total[1] += prefill_s
            if written > 0 and decode_s > 0:
                total[2] += written
                total[3] += decode_s
    rates = {key: Rates(t[0] / t[1], t[2] / t[3]) for key, t in sums.items() if t[1] > 0 and t[3] > 0}
    if None not in rates:
        raise ValueError("the history holds no finished attempt with token counts and timings to calibrate from")
    return rates[None], {key: value for key, value in rates.items() if key is not None}
