"""Build workloads from tasks in the history."""

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
    """A task in the history. Times are Unix seconds.

    Attributes:
        spec: as submitted, with its first priority and the requested model.
        tokens: read and written by a task that is done, so that virtual time knows its work.
        cancelled_at: None when it was not cancelled.
    """

    id: int
    submitted_at: float
    spec: TaskSpec
    tokens: tuple[int, int] | None = None
    cancelled_at: float | None = None


@dataclass(frozen=True, slots=True)
class PastAct:
    """A switch to `policy`, or a new `priority` for `task`, at `at` in Unix seconds."""

    at: float
    policy: str | None = None
    task: int | None = None
    priority: int | None = None


_Pending = tuple[float, int, Literal["policy", "priority", "cancel"], str | None, int | None, int | None]


class FromHistory:
    """Stream the items that repeat a span of history, its first task at 0: `add` each task, then `rest`.

    Add tasks in order of submission. A policy set before the first task is in force at 0. Actions on tasks that were
    not added are dropped. Memory holds only the ids of added tasks.
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
        self._added: set[int] = set()

    def add(self, task: PastTask) -> Iterator[Item]:
        """Yield the actions up to the task's submission, then the task."""
        if self._start is None:
            self._start = task.submitted_at
            yield from self._before(task.submitted_at)
        yield from self._due(task.submitted_at)
        self._added.add(task.id)
        if task.cancelled_at is not None:
            self._count += 1
            heapq.heappush(self._acts, (task.cancelled_at, self._count, "cancel", None, task.id, None))
        row = row_of(task.spec, f"t{task.id}", self._at(task.submitted_at))
        if task.tokens is not None:
            row = row.model_copy(update={"input_tokens": task.tokens[0], "output_tokens": task.tokens[1]})
        yield row

    def rest(self) -> Iterator[Item]:
        """Yield the actions after the last task."""
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
            elif task in self._added:
                yield ControlRow(at=self._at(at), op=op, task=f"t{task}", priority=priority)

    def _at(self, moment: float) -> float:
        # Times must not fall when the clock was set back.
        self._last = max(self._last, moment - (self._start or 0.0))
        return round(self._last, 6)
