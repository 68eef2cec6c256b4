"""Convert runs to rows of the history."""

from __future__ import annotations

from aios_tui.reporting.results import Result
from aios_tui.reporting.schema import run_report
from engine.replay.codec import pack
from persistence import NewReplay


def new_replay(workload: str, result: Result, *, at: float, core: str | None = None) -> NewReplay:
    """Return the row that stores a run. `at`: Unix seconds; `core`: None in virtual time."""
    return NewReplay(
        at=at,
        workload=workload,
        policy=result.run.policy,
        mode=result.run.kind,
        core=core,
        note=result.run.note,
        complete=result.complete,
        tasks=result.metrics.n,
        metrics=run_report(result).model_dump(mode="json"),
        columns=pack(result.run),
    )
