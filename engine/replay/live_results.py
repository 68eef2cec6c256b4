"""What became of the tasks of a live replay, and the run that they make."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from engine.events import AttemptEnded
from engine.replay.tables import UNKNOWN, Run, TaskTable
from engine.task import AttemptState, Task, TaskSpec, TaskState


@dataclass(slots=True)
class TaskOutcome:
    """What became of one task. Moments are Unix seconds; `id` is the workload's."""

    id: str
    spec: TaskSpec
    submitted: float
    started: float = UNKNOWN
    order: int = 0
    final: Task | None = None
    gone: bool = False  # it ended, and nobody remembers how

    @property
    def ended(self) -> bool:
        return self.gone or self.final is not None

    @property
    def failed(self) -> bool:
        return self.final is not None and self.final.state is not TaskState.DONE

    @property
    def priority(self) -> int:
        """The last one it had."""
        return self.spec.priority if self.final is None else self.final.priority

    @property
    def client(self) -> str:
        return self.spec.client or ""

    @property
    def model(self) -> str:
        return (self.final and self.final.model) or self.spec.model or ""


class LiveResults:
    """The fates of tasks by the kernel's ids, in the order in which they were sent."""

    def __init__(self) -> None:
        self.fates: dict[int, TaskOutcome] = {}
        self.started = self.done = self.failed = 0
        self._swaps = 0
        self._load_s = 0.0

    @property
    def all_ended(self) -> bool:
        return self.done + self.failed == len(self.fates)

    def start(self, fate: TaskOutcome, at: float, order: int) -> None:
        """Note a first dispatch; a second one of the same task changes nothing."""
        if not fate.order:
            fate.started, fate.order = at, order
            self.started += 1

    def count_swap(self) -> None:
        """Count a model that left a core's memory for a task's."""
        self._swaps += 1

    def count_load(self, event: AttemptEnded) -> None:
        """Count the seconds that an attempt waited for its model to load."""
        if event.state is AttemptState.DONE:
            self._load_s += event.usage.load_s

    def end(self, fate: TaskOutcome, final: Task | None) -> None:
        """Note the one end of a task; None when it is known only that it has ended."""
        if fate.ended:
            return
        fate.final, fate.gone = final, final is None
        if final is not None and final.started_at is not None:
            self.start(fate, final.started_at, final.dispatch_order or 0)
        if final is not None and final.state is TaskState.DONE:
            self.done += 1
        else:
            self.failed += 1

    def run(self, *, policy: str, slots: int, begun: float, switches: tuple[tuple[float, str], ...], note: str) -> Run:
        """The run so far, in seconds from `begun`."""
        fates = list(self.fates.values())
        clients = _indexed({fate.client for fate in fates})
        models = _indexed({fate.model for fate in fates})
        started = [index for index, fate in enumerate(fates) if fate.order]
        tasks = TaskTable(
            at=array("d", [fate.submitted - begun for fate in fates]),
            priority=array("b", [fate.priority for fate in fates]),
            service=array("d", [fate.final.service_s if fate.final else UNKNOWN for fate in fates]),
            client=array("L", [clients[fate.client] for fate in fates]),
            model=array("L", [models[fate.model] for fate in fates]),
            clients=list(clients),
            models=list(models),
            ids=[fate.id for fate in fates],
        )
        return Run(
            policy=policy,
            kind="live",
            slots=slots,
            tasks=tasks,
            start=array("d", [fate.started - begun for fate in fates]),
            end=array("d", [_known(fate.final.ended_at if fate.final else None) - begun for fate in fates]),
            service=tasks.service,
            order=array("L", sorted(started, key=lambda index: fates[index].order)),
            ttft=array("d", [_known(fate.final.ttft_s if fate.final else None) for fate in fates]),
            failed=frozenset(index for index, fate in enumerate(fates) if fate.failed),
            swaps=self._swaps,
            load_s=self._load_s,
            switches=switches,
            note=note,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a live replay is. `position`: seconds of the workload; `total`: its tasks."""

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
