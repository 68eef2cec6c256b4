"""The schema of `report.json`, version 1, which readers can rely on.

Seconds, shares and counts; null where nothing was measured. docs/replay.md defines each field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aios_tui.reporting.results import Result, Results
from engine.replay.export import as_json
from engine.replay.metrics import Group, Jain

Count = Annotated[int, Field(ge=0)]
Measured = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)  # also for the dataclasses in it


class Switch(_Part):
    """A switch of policy, `at` seconds from the start."""

    at: float
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
    makespan: Measured
    throughput: Measured
    utilisation: Measured
    oldest_wait: Measured
    inversions: Count
    swaps: Count
    load_s: Measured
    jain: Jain | None
    overall: Group
    by_priority: dict[Annotated[str, Field(pattern=r"^[0-9]$")], Group]
    by_client: dict[str, Group]
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
