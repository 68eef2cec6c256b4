"""The outcomes of a live replay's tasks, and the run that they make."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from engine.replay.tables import UNKNOWN, Run, TaskColumns
from engine.task import Task, TaskSpec, TaskState


@dataclass(slots=True)
class TaskOutcome:
    """One task of a live replay. Moments are Unix seconds; `id` is the workload's."""

    id: str
    spec: TaskSpec
    submitted: float
    started: float = UNKNOWN
    order: int = 0
    final: Task | None = None
    gone: bool = False  # it ended, and the history does not have it

    @property
    def ended(self) -> bool:
        return self.gone or self.final is not None

    @property
    def failed(self) -> bool:
        return self.final is not None and self.final.state is not TaskState.DONE

    @property
    def priority(self) -> int:
        """Its last priority."""
        return self.spec.priority if self.final is None else self.final.priority

    @property
    def client(self) -> str:
        return self.spec.client or ""

    @property
    def model(self) -> str:
        return (self.final and self.final.model) or self.spec.model or ""


class LiveResults:
    """The outcomes by the kernel's ids, in the order of submission.

    Attributes:
        swaps: models that left a core's memory for a task's. load_s: seconds that attempts waited for loads.
    """

    def __init__(self) -> None:
        self.outcomes: dict[int, TaskOutcome] = {}
        self.started = self.done = self.failed = 0
        self.swaps = 0
        self.load_s = 0.0

    @property
    def all_ended(self) -> bool:
        return self.done + self.failed == len(self.outcomes)

    def start(self, outcome: TaskOutcome, at: float, order: int) -> None:
        """Record a first dispatch; a second one of the same task changes nothing."""
        if not outcome.order:
            outcome.started, outcome.order = at, order
            self.started += 1

    def end(self, outcome: TaskOutcome, final: Task | None) -> None:
        """Record the end of a task; `final` None when only the fact is known."""
        if outcome.ended:
            return
        outcome.final, outcome.gone = final, final is None
        if final is not None and final.started_at is not None:
            self.start(outcome, final.started_at, final.dispatch_order or 0)
        if final is not None and final.state is TaskState.DONE:
            self.done += 1
        else:
            self.failed += 1

    def run(self, *, policy: str, slots: int, begun: float, switches: tuple[tuple[float, str], ...], note: str) -> Run:
        """The run so far, in seconds from `begun`."""
        outcomes = list(self.outcomes.values())
        clients = _indexed({outcome.client for outcome in outcomes})
        models = _indexed({outcome.model for outcome in outcomes})
        started = [index for index, outcome in enumerate(outcomes) if outcome.order]
        tasks = TaskColumns(
            at=array("d", [outcome.submitted - begun for outcome in outcomes]),
            priority=array("b", [outcome.priority for outcome in outcomes]),
            service=array("d", [outcome.final.service_s if outcome.final else UNKNOWN for outcome in outcomes]),
            client=array("L", [clients[outcome.client] for outcome in outcomes]),
            model=array("L", [models[outcome.model] for outcome in outcomes]),
            clients=list(clients),
            models=list(models),
            ids=[outcome.id for outcome in outcomes],
        )
        return Run(
            policy=policy,
            kind="live",
            slots=slots,
            tasks=tasks,
            start=array("d", [outcome.started - begun for outcome in outcomes]),
            end=array("d", [_known(outcome.final.ended_at if outcome.final else None) - begun for outcome in outcomes]),
            service=tasks.service,
            order=array("L", sorted(started, key=lambda index: outcomes[index].order)),
            ttft=array("d", [_known(outcome.final.ttft_s if outcome.final else None) for outcome in outcomes]),
            failed=frozenset(index for index, outcome in enumerate(outcomes) if outcome.failed),
            swaps=self.swaps,
            load_s=self.load_s,
            switches=switches,
            note=note,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a live replay. `position`: seconds of the workload; `total`: its tasks."""

    position: float
    total: int
    sent: int
    started: int
    done: int
    failed: int
    paused: bool

    @property
    def ended(self) -> int:
        return self.done + self.failed


def _indexed(names: set[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(["", *sorted(names - {""})])}


def _known(value: float | None) -> float:
    return UNKNOWN if value is None else value
