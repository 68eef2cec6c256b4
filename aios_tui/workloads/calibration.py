"""The rates that a simulation in the console goes by: measured in the history where that has enough, else assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.replay.service_model import Observation, Rates, ServiceModel, calibrate

ENOUGH = 20
"""Finished attempts from which on their rates say more than a guess does."""
NEWEST = 1_000
"""How many are looked at, so that the rates are those of today's machine."""

Timing = tuple[str | None, int, int, float, float]


class Timings(Protocol):
    """The history, as far as this asks it: model, tokens in and out, seconds of prefill and decoding, newest first."""

    async def timings(self, limit: int | None = None) -> Sequence[Timing]: ...


@dataclass(frozen=True, slots=True)
class Calibration:
    """A service model, and in a line where its rates come from."""

    service: ServiceModel
    words: str


ASSUMED = Calibration(ServiceModel(), "assumed")


def rates_words(rates: Rates) -> str:
    """The rates for people."""
    return f"prefill {rates.prefill:,.0f}, decode {rates.decode:,.0f} tok/s"


async def measured(history: Timings) -> Calibration:
    """The rates of the newest attempts, overall and of each model that has enough of them. Raises StoreError."""
    seen = [Observation(*row) for row in await history.timings(NEWEST)]
    if len(seen) < ENOUGH:
        return Calibration(ServiceModel(), f"assumed until {ENOUGH} attempts are done")
    try:
        rates, per_model = calibrate(seen)
    except ValueError:
        return Calibration(ServiceModel(), "assumed: no attempt has token counts and times")
    told = [model for model in per_model if sum(each.model == model for each in seen) >= ENOUGH]
    words = f"measured: the newest {len(seen):,} attempts"
    return Calibration(ServiceModel(rates, {model: per_model[model] for model in told}), words)
