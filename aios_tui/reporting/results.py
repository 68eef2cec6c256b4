"""The measured runs of one workload, from which reports are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.replay.metrics import Metrics, measure
from engine.replay.tables import Run


@dataclass(frozen=True, slots=True)
class Result:
    """One run, its metrics, and its name, unique among the runs of a report."""

    name: str
    run: Run
    metrics: Metrics
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Results:
    """The runs of one workload, in the requested order.

    Attributes:
        notes: lines on how the runs were made, for the reader of a report.
    """

    workload: str
    results: tuple[Result, ...]
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True when every run is complete."""
        return all(result.complete for result in self.results)


def gather(workload: str, runs: Iterable[tuple[Run, bool]], notes: Iterable[str] = ()) -> Results:
    """Measure `runs`, each with True if it is complete; runs of the same policy get a number."""
    found: list[Result] = []
    seen: dict[str, int] = {}
    for run, complete in runs:
        count = seen[run.policy] = seen.get(run.policy, 0) + 1
        name = run.policy if count == 1 else f"{run.policy} ({count})"
        found.append(Result(name, run, measure(run), complete))
    return Results(workload, tuple(found), tuple(notes))
