"""Compare several runs: measures and curves of each, computed off the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aios_tui.reporting.results import Result, Results, gather
from aios_tui.reporting.run_store import StoredRun, plain_name
from aios_tui.reporting.table import Line, lines
from engine.replay.metrics import Metrics, queue_length, waiting_cdf
from engine.replay.tables import Run

LETTERS = "ABCDEF"
"""Labels of compared runs, and the most that can be compared."""
CURVE_POINTS = 200

Curve = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One measured run. `waiting`: share of tasks over seconds; `queue`: tasks over seconds from the first arrival."""

    kept: StoredRun
    result: Result = field(repr=False)
    waiting: Curve = field(repr=False)
    queue: Curve = field(repr=False)

    @property
    def metrics(self) -> Metrics:
        return self.result.metrics

    @property
    def by_priority(self) -> dict[int, float]:
        """Mean waiting time in seconds by priority, for priorities with measured tasks."""
        groups = self.metrics.by_priority.items()
        return {level: group.waiting.mean for level, group in groups if group.waiting is not None}


def measured(stored: StoredRun, run: Run) -> MeasuredRun:
    """Measure a run. O(n log n); blocks."""
    (result,) = gather(stored.workload, [(run, stored.complete)]).results
    first = run.tasks.at[0] if len(run.tasks) else 0.0
    queue = [(at - first, float(length)) for at, length in queue_length(run, CURVE_POINTS)]
    return MeasuredRun(stored, result, [(0.0, 0.0), *waiting_cdf(run, CURVE_POINTS)], queue)


def table(runs: Sequence[MeasuredRun]) -> list[Line]:
    """Return the full comparison table, as in reports."""
    return lines(Results("", tuple(run.result for run in runs)))


def suggested(runs: Sequence[StoredRun]) -> list[int]:
    """Suggest runs to compare: the newest one, and the newest of the same workload under each other policy.

    Only runs of the same kind (live or virtual), unless there is no other. `runs`: newest first. At most 4.
    """
    if not runs:
        return []
    first = runs[0]
    same = [run for run in runs if plain_name(run.workload) == plain_name(first.workload)]
    alike = {run.policy: run.id for run in reversed(same) if run.kind == first.kind}
    if len(alike) < 2:
        alike = {f"{run.policy} {run.kind}": run.id for run in reversed(same)}
    return sorted(alike.values(), key=[run.id for run in runs].index)[:4]
