"""The request of `aios-tui replay`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aios_tui.config.settings import Settings
from engine.scheduling import Policy


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """The workload to replay, and the conditions.

    Attributes:
        policies: one run each; empty for one run under the workload's or the settings' own policy.
        speed: times as fast as the workload was written; infinite to send all tasks at once.
        prefill, decode: simulated rates in tokens per second.
        calibrate: `history`, `bench` or `bench:CORE`: where the simulated rates come from.
        loads: simulated seconds to load a model, by name; under "" those of all others.
        switches: with `policies`, also apply the workload's own policy changes.
        model_given: the settings' model came from the command line, so every task gets it.
    """

    workload: str
    policies: tuple[Policy, ...]
    settings: Settings
    virtual: bool = False
    speed: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    prefill: float | None = None
    decode: float | None = None
    calibrate: str | None = None
    loads: dict[str, float] = field(default_factory=dict)
    switches: bool = False
    report: Path | None = None
    as_json: bool = False
    keep: bool = True
    model_given: bool = False
