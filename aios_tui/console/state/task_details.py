"""The task screen's data: from the view state while a task lives, and from the history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import TYPE_CHECKING

from aios_tui.console.state.view_state import SlotView, TaskView, ViewState
from engine.sanitise import one_line, sanitise
from engine.task import AttemptState, TaskFault, TaskRecord, TaskState

if TYPE_CHECKING:
    from persistence.rows import AttemptRow, TaskDetail, ToolCallRow


@dataclass(frozen=True, slots=True)
class RoundPage:
    """One round with its attempts in order; only the last can have a reply."""

    start: int
    number: int
    attempts: tuple[AttemptRow, ...]

    @property
    def last(self) -> AttemptRow:
        return self.attempts[-1]


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A task as the screen shows it. Moments are Unix seconds, durations seconds; None is unknown, or not yet known.

    Attributes:
        waited_s: waiting time, up to now while the task is queued.
        since_start_s: time since the start, while the task runs.
        rounds: rounds of the present start.
        earlier: attempts of earlier starts, which were interrupted.
        slots: slots on which rounds run now, mostly one.
        result: the whole result of an ended task.
    """

    id: int
    state: TaskState
    agent: str
    priority: int
    prompt: str
    client: str | None = None
    retry_of: int | None = None
    held: bool = False
    core: str | None = None
    model: str | None = None
    rounds_done: int = 0
    round_total: int | None = None
    waited_s: float | None = None
    since_start_s: float | None = None
    service_s: float | None = None
    turnaround_s: float | None = None
    ttft_s: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_per_s: float | None = None
    attempts: int = 0
    interruptions: int = 0
    error: str | None = None
    fault: TaskFault | None = None
    result: str | None = None
    rounds: tuple[RoundPage, ...] = ()
    earlier: tuple[AttemptRow, ...] = ()
    slots: tuple[SlotView, ...] = ()

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each round."""
        return sum(attempt.attempt > 1 for each in self.rounds for attempt in each.attempts)

    @property
    def text(self) -> str:
        """The text to copy: the result, else the running stream, else the last reply, else the prompt."""
        if self.result:
            return self.result
        streaming = [slot.text for slot in self.slots if slot.text]
        if streaming:
            return streaming[-1]
        replies = [attempt.reply for each in self.rounds for attempt in each.attempts if attempt.reply]
        return sanitise(replies[-1]) if replies else self.prompt


def tool_call_text(call: ToolCallRow) -> str:
    """Write a tool call on one line: `asks for look_up (city: "Brno", days: 2)`."""
    given = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    return one_line(f"asks for {call.name} ({given})" if given else f"asks for {call.name}", 1_000)


def page_of(task_id: int, view: ViewState, facts: TaskDetail | None) -> TaskPage | None:
    """Return a task's page; None when neither view state nor history knows the task."""
    live = view.tasks.get(task_id)
    if live is not None:
        return _live_page(live, view, facts)
    listed = view.result(task_id)  # all that is known until the history is read, or if it is unreadable
    if facts is not None and (facts.record.state.ended or listed is None):
        return _ended_page(facts.record, facts)
    return None if listed is None else _ended_page(listed, facts)


def _rounds(facts: TaskDetail | None) -> tuple[tuple[RoundPage, ...], tuple[AttemptRow, ...]]:
    """Return the rounds of the last start, and the attempts of earlier ones."""
    if facts is None:
        return (), ()
    start = facts.starts
    present = sorted((a for a in facts.attempts if a.start == start), key=lambda a: (a.round, a.attempt))
    rounds = tuple(RoundPage(start, number, tuple(group)) for number, group in groupby(present, lambda a: a.round))
    return rounds, tuple(attempt for attempt in facts.attempts if attempt.start != start)


def _without_executing(rounds: Sequence[RoundPage]) -> tuple[RoundPage, ...]:
    """Drop executing attempts: they are drawn from the view state, which has their streams."""
    kept = []
    for each in rounds:
        attempts = tuple(attempt for attempt in each.attempts if attempt.state is not AttemptState.EXECUTING)
        if attempts:
            kept.append(RoundPage(each.start, each.number, attempts))
    return tuple(kept)


_SAME = {field.name for field in fields(TaskPage)} & TaskRecord.model_fields.keys() - {"rounds"}
"""Fields of TaskPage that are copied from TaskRecord under the same name."""


def _ended_page(record: TaskRecord, facts: TaskDetail | None) -> TaskPage:
    rounds, earlier = _rounds(facts)
    return TaskPage(
        **{name: getattr(record, name) for name in _SAME},
        rounds_done=record.rounds,
        round_total=facts.round_total if facts else None,
        waited_s=record.waiting_s,
        interruptions=facts.interruptions if facts else 0,
        rounds=rounds,
        earlier=earlier,
    )


def _live_page(task: TaskView, view: ViewState, facts: TaskDetail | None) -> TaskPage:
    slots = tuple(sorted((slot for slot in view.slots.values() if slot.task == task.id), key=lambda slot: slot.round))
    slot = slots[0] if slots else None
    rounds, earlier = _rounds(facts)
    if task.state is TaskState.QUEUED:  # all attempts belong to interrupted starts
        rounds, earlier = (), tuple(facts.attempts) if facts else ()
    ended = [attempt for each in rounds for attempt in each.attempts if attempt.state is not AttemptState.EXECUTING]
    decode_s = sum(attempt.decode_s for attempt in ended)
    tokens_out = sum(attempt.tokens_out for attempt in ended)
    first = next((attempt.ttft_s for attempt in ended if attempt.ttft_s is not None), None)
    start = task.started_at
    return TaskPage(
        id=task.id,
        state=task.state,
        agent=task.agent,
        priority=task.priority,
        prompt=task.spec.prompt,
        client=task.spec.client,
        retry_of=task.retry_of,
        held=task.held,
        core=slot.core if slot else (ended[-1].core if ended else None),
        model=(slot.model if slot else None) or (ended[-1].model if ended else None) or task.spec.model,
        rounds_done=max(task.rounds, len({attempt.round for attempt in ended if attempt.state is AttemptState.DONE})),
        round_total=task.round_total,
        waited_s=max(0.0, (view.now if start is None else start) - task.arrival),
        since_start_s=None if start is None else max(0.0, view.now - start),
        service_s=sum(attempt.service_s for attempt in ended) if ended else None,
        ttft_s=first if first is not None else (slot.ttft_s if slot else None),
        tokens_in=sum(attempt.tokens_in for attempt in ended),
        tokens_out=tokens_out + sum(each.tokens for each in slots),
        tokens_per_s=slot.tokens_per_s if slot else (tokens_out / decode_s if decode_s > 0 else None),
        attempts=len(ended) + len(slots),
        interruptions=facts.interruptions if facts else 0,
        error=task.last_error,
        rounds=_without_executing(rounds),
        earlier=earlier,
        slots=slots,
    )
