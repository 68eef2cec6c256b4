"""One fold of kernel events into measurements, consumed by every exporter.

Prometheus and OpenTelemetry need the same joins: an attempt's end with its start, a task with its priority, a slot's
state with the one before. Doing them once keeps the two from disagreeing. An event that needs no join is a measurement
as it is. Pure and synchronous, O(1) an event. It returns values rather than calls its exporters, so that isolating one
that fails stays with whoever pumps the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine import events as e
from engine.cores.port import SlotState
from engine.task import AttemptState

LOAD_S = 0.1
"""Seconds. A core that reports a shorter load had the model in memory: servers report some milliseconds even then."""


@dataclass(frozen=True, slots=True)
class TaskCount:
    """The number of queued or `running` tasks of a priority changed by `change`."""

    running: bool
    priority: int
    change: int


@dataclass(frozen=True, slots=True)
class SlotCount:
    """The number of a core's slots in `state` changed by `change`; 0 introduces a state without slots."""

    core: str
    state: SlotState
    change: int


@dataclass(frozen=True, slots=True)
class AttemptBegan:
    """An attempt began.

    Attributes:
        waiting_s: seconds from ready to start.
        priority: the task's; None for an unknown task.
        resumed: it began while events were missed, or was counted before: don't count it again.
    """

    event: e.AttemptStarted
    waiting_s: float
    priority: int | None
    resumed: bool


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """An attempt ended.

    Attributes:
        started: its start; None when that was missed.
        error: the kind of fault of a failed attempt, the state of a cancelled or interrupted one; None when done.
        tpot_s: seconds per token after the first, (service − TTFT) ÷ (tokens − 1); None unless done with two or more.
        load_s: seconds spent loading the model; 0 when it was in memory.
    """

    event: e.AttemptEnded
    started: e.AttemptStarted | None
    core: str
    error: str | None
    tpot_s: float | None
    load_s: float


@dataclass(frozen=True, slots=True)
class EventsMissed:
    """Events after `at` were lost. What follows restates the present: all task counts begin at 0 again."""

    at: float


Measurement = e.Event | TaskCount | SlotCount | AttemptBegan | AttemptFinished | EventsMissed


class Measurements:
    """The fold. Give it every event of one kernel, in order."""

    def __init__(self) -> None:
        self._tasks: dict[int, tuple[bool, int]] = {}  # running, priority
        self._attempts: dict[tuple[int, int, int], e.AttemptStarted] = {}
        self._slots: dict[str, tuple[str, SlotState]] = {}
        self._latest = 0.0
        self._catching_up = False

    def catch_up(self, snapshot: Iterable[e.Event]) -> Iterator[Measurement]:
        """Yield the kernel's present state after events were lost. What was lost is never counted."""
        yield EventsMissed(self._latest)
        self._tasks.clear()
        self._attempts.clear()
        self._catching_up = True
        for event in snapshot:
            yield from self.fold(event)
        self._catching_up = False

    def fold(self, event: e.Event) -> Iterator[Measurement]:
        """Yield what `event` measures."""
        self._latest = event.at
        match event:
            case e.TaskAccepted():
                yield event
                yield from self._move(event.task, (False, event.spec.priority))
            case e.TaskRecovered():
                yield event
                yield from self._move(event.task, (False, event.priority))
            case e.TaskStarted() | e.TaskRequeued():
                yield event
                if event.task in self._tasks:
                    priority = self._tasks[event.task][1]
                    yield from self._move(event.task, (isinstance(event, e.TaskStarted), priority))
            case e.TaskReprioritised():
                if event.task in self._tasks:
                    yield from self._move(event.task, (self._tasks[event.task][0], event.priority))
            case e.TaskEnded():
                yield from self._move(event.task, None)
                yield event
            case e.AttemptStarted():
                self._attempts[event.key] = event
                _, priority_now = self._tasks.get(event.task, (False, None))
                yield AttemptBegan(event, max(0.0, event.at - event.ready_at), priority_now, self._catching_up)
            case e.AttemptEnded():
                yield self._finished(event)
            case e.SlotChanged():
                yield from self._slot_changed(event)
            case e.ModelSwapped() | e.CoreChanged():
                yield event

    def _move(self, task: int, to: tuple[bool, int] | None) -> Iterator[TaskCount]:
        """Count a task elsewhere; None: nowhere any more."""
        before = self._tasks.pop(task, None)
        if before is not None:
            yield TaskCount(*before, -1)
        if to is not None:
            self._tasks[task] = to
            yield TaskCount(*to, 1)

    def _finished(self, event: e.AttemptEnded) -> AttemptFinished:
        started = self._attempts.pop(event.key, None)
        core = event.slot.rpartition("/")[0] if started is None else started.core
        load_s = event.usage.load_s if event.usage.load_s >= LOAD_S else 0.0
        if event.state is not AttemptState.DONE:
            fault = event.fault if event.state is AttemptState.FAILED else None
            return AttemptFinished(event, started, core, (fault or event.state).value, None, load_s)
        tokens, tpot = event.usage.tokens_out, None
        if event.ttft_s is not None and tokens > 1:
            tpot = max(0.0, event.service_s - event.ttft_s) / (tokens - 1)
        return AttemptFinished(event, started, core, None, tpot, load_s)

    def _slot_changed(self, event: e.SlotChanged) -> Iterator[SlotCount]:
        before = self._slots.get(event.slot)
        self._slots[event.slot] = event.core, event.state
        if before is None:
            yield from (SlotCount(event.core, state, 0) for state in SlotState)
        else:
            yield SlotCount(*before, -1)
        yield SlotCount(event.core, event.state, 1)
