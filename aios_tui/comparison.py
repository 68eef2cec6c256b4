"""Several runs side by side: the table and the curves that a comparison shows, worked out off the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aios_tui.runs import KeptRun
from engine.replay.columns import Run
from engine.replay.metrics import Metrics, measure, queue_length, waiting_cdf
from engine.replay.report import compared

LETTERS = "ABCDEF"
"""What the runs of a comparison are called; there are at most so many."""
CURVE_POINTS = 200

Curve = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run, measured. `waiting`: share of tasks over seconds; `queue`: tasks over seconds from the first arrival."""

    kept: KeptRun
    metrics: Metrics
    waiting: Curve = field(repr=False)
    queue: Curve = field(repr=False)

    @property
    def by_priority(self) -> dict[int, float]:
        """Mean waiting time by priority, where any was measured."""
        groups = self.metrics.by_priority.items()
        return {level: group.waiting.mean for level, group in groups if group.waiting is not None}


def measured(kept: KeptRun, run: Run) -> Measured:
    """Work out what is shown of a run. O(n log n); blocks."""
    first = run.tasks.at[0] if len(run.tasks) else 0.0
    queue = [(at - first, float(length)) for at, length in queue_length(run, CURVE_POINTS)]
    return Measured(kept, measure(run), [(0.0, 0.0), *waiting_cdf(run, CURVE_POINTS)], queue)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a value for each run, and the places of those that read as the best; none if all do."""

    label: str
    values: tuple[str, ...]
    best: frozenset[int]


def table(runs: Sequence[Measured]) -> list[Row]:
    """The table of a comparison, by runs in their order."""
    return [_row(label, values, best) for label, values, best in compared([each.metrics for each in runs])]


def _row(label: str, values: Sequence[float | None], best: int | None) -> Row:
    shown = tuple(number(value, label) for value in values)
    alike = frozenset() if best is None else frozenset(n for n, value in enumerate(shown) if value == shown[best])
    return Row(label, shown, alike if len(alike) < len(shown) else frozenset())


WHOLE = ("tasks", "done", "failed", "inversions", "swaps")


def number(value: float | None, label: str) -> str:
    """A figure for people: whole ones whole, others to about four digits."""
    if value is None:
        return "–"
    if label in WHOLE:
        return f"{value:,.0f}"
    if label == "utilisation":
        return f"{value:.1%}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
