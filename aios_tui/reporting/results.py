"""What a report is made from: the runs of one workload, measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.replay.metrics import Metrics, measure
from engine.replay.tables import Run


@dataclass(frozen=True, slots=True)
class Result:
    """One run, what it comes to, and the name it goes by beside the others."""

    name: str
    run: Run
    metrics: Metrics
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Results:
    """The runs of one workload, in the order in which they were asked for.

    Attributes:
        notes: lines on how they were made, for the reader of a report.
    """

    workload: str
    results: tuple[Result, ...]
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """No run was broken off."""
        return all(result.complete for result in self.results)

    @property
    def failed(self) -> int:
        return sum(result.metrics.failed for result in self.results)


def gather(workload: str, runs: Iterable[tuple[Run, bool]], notes: Iterable[str] = ()) -> Results:
    """Measure `runs`, each with whether it is complete; runs of one policy are told apart by a number."""
    found: list[Result] = []
    seen: dict[str, int] = {}
    for run, complete in runs:
        count = seen[run.policy] = seen.get(run.policy, 0) + 1
        name = run.policy if count == 1 else f"{run.policy} ({count})"
        found.append(Result(name, run, measure(run), complete))
    return Results(workload, tuple(found), tuple(notes))
