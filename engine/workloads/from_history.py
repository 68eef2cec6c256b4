"""Workloads from what history keeps."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from engine.task import TaskSpec
from engine.workloads.format import ControlRow, Item
from engine.workloads.recorder import row_of


@dataclass(frozen=True, slots=True)
class PastTask:
    """A task of history. Moments are Unix seconds.

    Attributes:
        spec: as it was submitted, its first priority and the model that was asked for.
        tokens: what a task that ended well read and wrote, so that virtual time knows its work.
        cancelled_at: when it was cancelled, None when it was not.
    """

    id: int
    submitted_at: float
    spec: TaskSpec
    tokens: tuple[int, int] | None = None
    cancelled_at: float | None = None


@dataclass(frozen=True, slots=True)
class PastAct:
    """A switch to `policy`, or task `task` given `priority`, at `at` in Unix seconds."""

    at: float
    policy: str | None = None
    task: int | None = None
    priority: int | None = None


_Pending = tuple[float, int, Literal["policy", "priority", "cancel"], str | None, int | None, int | None]


class FromHistory:
    """Items that repeat a stretch of history, the first task at 0, as a stream: `take` each task, then `rest`.

    Tasks come by their submission. A policy that was set before the first task is in force at 0; of what was done to
    tasks only what concerns those taken is kept. Of tasks taken only their ids are held.
    """

    def __init__(self, acts: Iterable[PastAct] = ()) -> None:
        self._acts: list[_Pending] = [
            (act.at, order, "policy" if act.policy is not None else "priority", act.policy, act.task, act.priority)
            for order, act in enumerate(acts)
        ]
        heapq.heapify(self._acts)
        self._count = len(self._acts)
        self._start: float | None = None
        self._last = 0.0
        self._taken: set[int] = set()

    def take(self, task: PastTask) -> Iterator[Item]:
        """What was done up to the task's submission, then the task."""
        if self._start is None:
            self._start = task.submitted_at
            yield from self._before(task.submitted_at)
        yield from self._due(task.submitted_at)
        self._taken.add(task.id)
        if task.cancelled_at is not None:
            self._count += 1
            heapq.heappush(self._acts, (task.cancelled_at, self._count, "cancel", None, task.id, None))
        row = row_of(task.spec, f"t{task.id}", self._at(task.submitted_at))
        if task.tokens is not None:
            row = row.model_copy(update={"input_tokens": task.tokens[0], "output_tokens": task.tokens[1]})
        yield row

    def rest(self) -> Iterator[Item]:
        """What was done after the last task came."""
        if self._start is not None:
            yield from self._due(float("inf"))

    def _before(self, start: float) -> Iterator[Item]:
        policy = None
        while self._acts and self._acts[0][0] < start:
            policy = heapq.heappop(self._acts)[3] or policy
        if policy is not None:
            yield ControlRow(at=0.0, policy=policy)

    def _due(self, until: float) -> Iterator[Item]:
        while self._acts and self._acts[0][0] <= until:
            at, _, op, policy, task, priority = heapq.heappop(self._acts)
            if op == "policy":
                yield ControlRow(at=self._at(at), policy=policy)
            elif task in self._taken:
                yield ControlRow(at=self._at(at), op=op, task=f"t{task}", priority=priority)

    def _at(self, moment: float) -> float:
        # A clock that was set back must not make times fall.
        self._last = max(self._last, moment - (self._start or 0.0))
        return round(self._last, 6)
