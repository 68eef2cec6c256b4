"""Rates for simulations: measured in the history or by `bench`, else given or assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aios_tui.formatting import numbers
from aios_tui.reporting import bench_results
from engine.replay.service_model import Rates, ServiceModel, Timing, calibrate
from engine.wording import plural

ENOUGH = 20
"""Finished attempts from which on their rates are better than assumed ones."""
NEWEST = 1_000
"""Attempts that the console looks at, so that the rates are those of today's machine."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A service model, the origin of its rates in one line (empty if given), and measured seconds to load a model."""

    service: ServiceModel
    origin: str = ""
    load_s: Mapping[str, float] = field(default_factory=dict)

    def describe(self) -> str:
        """Return the rates and their origin, in one line."""
        rates = rates_text(self.service.rates)
        return f"{rates} ({self.origin})" if self.origin else rates


ASSUMED = Calibration(ServiceModel(), "assumed")


def rates_text(rates: Rates) -> str:
    """Format rates: `prefill 1,000, decode 50 tok/s`."""
    return f"prefill {numbers.rate(rates.prefill)}, decode {numbers.rate(rates.decode)} tok/s"


def newest_or_assumed(rows: Sequence[Timing]) -> Calibration:
    """Return the rates of the newest attempts, or the assumed ones until there are enough.

    A model has rates of its own once it has enough attempts.
    """
    if len(rows) < ENOUGH:
        return Calibration(ServiceModel(), f"assumed until {ENOUGH} attempts are done")
    try:
        rates, per_model = calibrate(rows)
    except ValueError:
        return Calibration(ServiceModel(), "assumed: no attempt has token counts and times")
    counts = Counter(model for model, *_ in rows)
    own = {model: each for model, each in per_model.items() if counts[model] >= ENOUGH}
    return Calibration(ServiceModel(rates, own), f"measured: the newest {len(rows):,} attempts")


def from_history(rows: Sequence[Timing], *, seed: int | None = None) -> Calibration:
    """Return the rates of all attempts and of each model; they replace service times in the workload.

    Raises ValueError when no attempt has token counts and times.
    """
    rates, per_model = calibrate(rows)
    models = "".join(f"; {model} {rates_text(each)}" for model, each in sorted(per_model.items()))
    service = ServiceModel(rates, per_model, use_given=False, seed=seed)
    return Calibration(service, f"calibrated from {plural(len(rows), 'attempt')}{models}")


def from_bench(path: Path, core: str | None, slots: int, *, seed: int | None = None) -> Calibration:
    """Return the rates and load times that `bench` measured on `core` (None: any), with `slots` streams at a time.

    Raises UsageError when no benchmark fits or the file can't be read.
    """
    used = bench_results.newest(bench_results.read(path), core)
    rates = {model: bench.rates(slots) for model, bench in used.items()}
    listed = "; ".join(
        f"{model} on {bench.core}, measured at {bench.level(slots).streams} at a time, {rates_text(rates[model])}"
        for model, bench in used.items()
    )
    service = ServiceModel(next(iter(rates.values())), rates, use_given=False, seed=seed)
    load_s = {model: bench.load_s for model, bench in used.items() if bench.load_s is not None}
    return Calibration(service, f"calibrated from bench: {listed}", load_s)
