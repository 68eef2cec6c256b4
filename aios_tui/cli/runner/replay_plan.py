"""What is to be replayed, and how, as the command line said it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aios_tui.config.settings import Settings
from engine.scheduling import Policy


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What is to be replayed, and how, as the command line said it."""

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
