"""The schema of `report.json`, version 1, which readers can rely on.

Seconds, shares and counts; null where nothing was measured. docs/replay.md defines each field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aios_tui.reporting.results import Result, Results
from engine.replay.export import as_json

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DistributionReport(_Part):
    """Mean, quantiles (linear between order statistics) and maximum of `n` values."""

    n: Annotated[int, Field(ge=1)]
    mean: Number
    p50: Number
    p95: Number
    p99: Number
    max: Number


class GroupReport(_Part):
    """Distributions over all tasks, or those of one priority or client."""

    n: Count
    waiting: DistributionReport | None
    turnaround: DistributionReport | None
    slowdown: DistributionReport | None
    ttft: DistributionReport | None


class JainReport(_Part):
    """Jain's index over `n` values; `over` names them."""

    value: Number
    n: Count
    over: str


class Switch(_Part):
    """A switch of policy, `at` seconds from the start."""

    at: Number
    policy: str


class RunReport(_Part):
    """One run of the workload."""

    name: str
    policy: str
    kind: Literal["virtual", "live"]
    complete: bool
    slots: Annotated[int, Field(ge=1)]
    note: str
    n: Count
    done: Count
    failed: Count
    makespan: Seconds
    throughput: Share
    utilisation: Share
    oldest_wait: Seconds
    inversions: Count
    swaps: Count
    load_s: Seconds
    jain: JainReport | None
    overall: GroupReport
    by_priority: dict[Annotated[str, Field(pattern=r"^[0-9]$")], GroupReport]
    by_client: dict[str, GroupReport]
    switches: list[Switch]


class Report(_Part):
    """All of report.json. `version` increases when a field changes its meaning or is removed."""

    version: Literal[1] = 1
    workload: str
    complete: bool
    notes: list[str]
    runs: list[RunReport]


def run_report(result: Result) -> RunReport:
    """Return one run for the report."""
    values: dict[str, Any] = as_json(result.metrics, result.run)
    return RunReport.model_validate({"name": result.name, "complete": result.complete, **values})


def report_of(results: Results) -> Report:
    """Return the report of `results`."""
    return Report(
        workload=results.workload,
        complete=results.complete,
        notes=list(results.notes),
        runs=[run_report(result) for result in results.results],
    )
