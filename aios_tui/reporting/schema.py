"""`report.json`, version 1, as pydantic models: what is written is this, and what reads it may count on it.

Seconds, shares and counts; null where nothing was measured. docs/replay.md says what each means.
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


class DistributionModel(_Part):
    """Of `n` values: mean, quantiles (linear between order statistics), greatest."""

    n: Annotated[int, Field(ge=1)]
    mean: Number
    p50: Number
    p95: Number
    p99: Number
    max: Number


class GroupModel(_Part):
    """All tasks, or those of one priority or client."""

    n: Count
    waiting: DistributionModel | None
    turnaround: DistributionModel | None
    slowdown: DistributionModel | None
    ttft: DistributionModel | None


class JainModel(_Part):
    """Jain's index over `n` values; `over` says of what."""

    value: Number
    n: Count
    over: str


class Switch(_Part):
    """The policy was switched on the way, `at` seconds from the start."""

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
    jain: JainModel | None
    overall: GroupModel
    by_priority: dict[Annotated[str, Field(pattern=r"^[0-9]$")], GroupModel]
    by_client: dict[str, GroupModel]
    switches: list[Switch]


class Report(_Part):
    """All of report.json. `version` is raised when a field changes its meaning or goes."""

    version: Literal[1] = 1
    workload: str
    complete: bool
    notes: list[str]
    runs: list[RunReport]


def run_report(result: Result) -> RunReport:
    """One run for the report."""
    said: dict[str, Any] = as_json(result.metrics, result.run)
    return RunReport.model_validate({"name": result.name, "complete": result.complete, **said})


def report_of(results: Results) -> Report:
    """The report of `results`."""
    return Report(
        workload=results.workload,
        complete=results.complete,
        notes=list(results.notes),
        runs=[run_report(result) for result in results.results],
    )
