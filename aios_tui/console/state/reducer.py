"""The reducer: folds kernel events into the view state. The live console, replays and tests all use it.

The guarantees:

- Total: an event about an unknown task or slot changes nothing, a repeated one changes nothing twice. A lost event can
  make the state stale until the next resync, but never raises and never lets counts drift.
- A snapshot folded into an empty state gives the same state as the events that led there, so that a resync after a loss
  looks like nothing happened. A property test compares the two after random commands to a real kernel.
- O(log n) per event for n waiting tasks, also for a burst of 10,000; nothing is computed for a pane that may not be
  drawn.

The data is plain: dataclasses, changed in place by one function per kind of event, found in a table. Two counts are
kept beside the tasks (`running`, `TaskView.executing`) because deriving them would cost O(n) per frame; every function
that moves a task changes them, and the property test recounts. What changed is noted in `state.changes`, from which
each pane decides whether to draw.

What a snapshot does not contain is carried over by `resync`: results and counts of ended tasks, meters, notices, when
an attempt's first token came, and the rounds that a running task has completed.

Text is sanitised here, once, when it enters the state: streams, errors and reasons come from models and servers.

Rejected alternatives: immutable states (a copy of the tables for each event: O(n)); widgets that subscribe
to the events they need (each would need its own resync, and they would disagree); asking the kernel for its tasks in
each frame (O(n) per frame, and no streams).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aios_tui.console.state.view_state import MAX_TAIL, ResultView, SlotView, TaskView, ViewState
from engine import events as e
from engine.cores.port import SlotState
from engine.sanitise import one_line, sanitise
from engine.task import AttemptState, Task, TaskRecord, TaskSpec, TaskState


def fold(state: ViewState, event: e.Event) -> None:
    """Fold one event into the state, and note in `state.changes` what it changed."""
    _FOLDS[type(event)](state, event)


def fold_all(state: ViewState, events: Iterable[e.Event]) -> ViewState:
    """Fold events in order; returns the state for convenience."""
    folds = _FOLDS
    for event in events:
        folds[type(event)](state, event)
    return state


def resync(state: ViewState, snapshot: Iterable[e.Event]) -> ViewState:
    """Return a new state from a kernel's snapshot, with what no snapshot contains taken over from `state`."""
    fresh = ViewState(now=state.now, why=state.why, counts=state.counts, notices=state.notices)
    events = list(snapshot)
    fresh.set_results(state.results)
    fold_all(fresh, events)
    fresh.meters = state.meters
    fresh.meters.resync(events)
    for slot_id, slot in fresh.slots.items():
        old = state.slots.get(slot_id)
        if old is not None and _same_attempt(old, slot) and old.first_token_at is not None:
            slot.first_token_at = old.first_token_at
            slot.version += old.version
    for task in fresh.tasks.values():
        if task.state is TaskState.RUNNING:
            known = state.tasks.get(task.id)
            task.rounds = max(_rounds_before(fresh, task), 0 if known is None else known.rounds)
    fresh.changes.everything = True
    return fresh


def _rounds_before(state: ViewState, task: TaskView) -> int:
    """Count the rounds a task has completed, from the numbers of those that are active: a snapshot has only these."""
    active = [*task.waiting, *(slot.round for slot in state.slots.values() if slot.task == task.id)]
    return max(active) - len(active) if active else 0


def result_of(record: TaskRecord) -> ResultView:
    """Return the line of the results pane for a record of the history."""
    done = record.state is TaskState.DONE
    text = sanitise(record.result or "" if done else record.error or str(record.state))
    changed = {
        "prompt": sanitise(record.prompt),
        "result": text if done else None,
        "ended_at": record.submitted_at if record.ended_at is None else record.ended_at,
        "text": text,
        "line": one_line(text, 300),
    }
    return ResultView.model_construct(**dict(record) | changed)


def _ready(state: ViewState, task: TaskView, round_: int, at: float) -> None:
    task.waiting[round_] = at
    state.order.add(task)
    state.changes.queue = True


def _not_ready(state: ViewState, task: TaskView, round_: int) -> None:
    if task.waiting.pop(round_, None) is None:
        return
    if task.waiting:
        state.order.add(task)
    else:
        state.order.discard(task.id)
    state.changes.queue = True


def _same_attempt(one: SlotView, other: SlotView | e.AttemptProgress | e.AttemptEnded) -> bool:
    return (one.task, one.round, one.attempt) == (other.task, other.round, other.attempt)


def _free_slot(state: ViewState, slot: SlotView) -> None:
    task = state.tasks.get(slot.task) if slot.task is not None else None
    if task is not None:
        task.executing -= 1
    slot.task = None
    slot.version += 1
    state.changes.slots = True


def _detach(state: ViewState, task: TaskView) -> None:
    """Free the task's slots and take it out of the queue."""
    if task.executing:
        for slot in state.slots.values():
            if slot.task == task.id:
                _free_slot(state, slot)
    task.waiting.clear()
    if state.order.discard(task.id):
        state.changes.queue = True


def _known(state: ViewState, id: int) -> TaskView | None:
    task = state.tasks.get(id)
    if task is not None:
        state.changes.tasks.add(id)
    return task


def _kernel_state(state: ViewState, event: e.KernelStateChanged) -> None:
    state.kernel, state.trouble = event.state, None
    state.changes.header = True


def _policy(state: ViewState, event: e.PolicyChanged) -> None:
    state.policy = event.policy
    state.order.switch(event.policy, [state.tasks[task] for task in state.order])
    state.changes.header = state.changes.queue = True


def _insert(state: ViewState, task: TaskView) -> None:
    old = state.tasks.get(task.id)
    if old is not None:
        _detach(state, old)
        state.running -= old.state is TaskState.RUNNING
    state.tasks[task.id] = task
    state.order.add(task)
    state.changes.header = state.changes.queue = True
    state.changes.tasks.add(task.id)


def _accepted(state: ViewState, event: e.TaskAccepted) -> None:
    spec: TaskSpec = event.spec
    _insert(state, TaskView(event.task, spec, spec.priority, event.at, {0: event.at}, retry_of=event.retry_of))


def _recovered(state: ViewState, event: e.TaskRecovered) -> None:
    at = event.submitted_at
    _insert(
        state,
        TaskView(
            event.task, event.spec, event.priority, at, {0: at}, interrupted=event.interrupted, retry_of=event.retry_of
        ),
    )


def _started(state: ViewState, event: e.TaskStarted) -> None:
    if (task := _known(state, event.task)) is None:
        return
    if task.state is not TaskState.RUNNING:
        state.running += 1
    task.state, task.started_at, task.round_total = TaskState.RUNNING, event.at, event.round_total
    task.held = False
    _not_ready(state, task, 0)
    state.changes.header = True


def _requeued(state: ViewState, event: e.TaskRequeued) -> None:
    if (task := _known(state, event.task)) is None:
        return
    _detach(state, task)
    state.running -= task.state is TaskState.RUNNING
    task.state, task.started_at, task.rounds, task.retry_at = TaskState.QUEUED, None, 0, None
    task.interrupted = True
    _ready(state, task, 0, task.arrival)
    state.changes.header = True


def _reprioritised(state: ViewState, event: e.TaskReprioritised) -> None:
    if (task := _known(state, event.task)) is None:
        return
    task.priority = event.priority
    if task.id in state.order:
        state.order.add(task)
        state.changes.queue = True


def _held(state: ViewState, event: e.TaskHeld) -> None:
    if (task := _known(state, event.task)) is None or task.state is not TaskState.QUEUED:
        return
    task.held = event.held
    state.order.add(task)
    state.changes.queue = True


def _syscall_ready(state: ViewState, event: e.SyscallReady) -> None:
    if (task := _known(state, event.task)) is None:
        return
    task.retry_at = None
    _ready(state, task, event.round, event.at)


def _attempt_started(state: ViewState, event: e.AttemptStarted) -> None:
    state.meters.fold(event)
    if (task := _known(state, event.task)) is None:
        return
    _not_ready(state, task, event.round)
    task.retry_at = None
    task.attempts += 1
    task.executing += 1
    old = state.slots.get(event.slot)
    if old is not None and old.task is not None:
        _free_slot(state, old)
    state.slots[event.slot] = SlotView(
        id=event.slot,
        core=event.core,
        state=old.state if old else SlotState.UP,
        reason=old.reason if old else "",
        task=event.task,
        agent=task.agent,
        round=event.round,
        round_total=task.round_total,
        attempt=event.attempt,
        model=event.model,
        started_at=event.at,
        version=old.version + 1 if old else 1,
    )
    state.changes.slots = True


def _progress(state: ViewState, event: e.AttemptProgress) -> None:
    state.meters.fold(event)
    slot = state.slots.get(event.slot)
    if slot is None or not _same_attempt(slot, event):
        return
    state.changes.slots = True
    state.changes.tasks.add(event.task)
    slot.version += 1
    if event.kind == "progress":
        slot.read, slot.to_read = event.done, event.total
        return
    if slot.first_token_at is None:
        slot.first_token_at = event.at
    slot.last_token_at = event.at
    slot.tokens += event.tokens
    if event.kind == "text":
        slot.talking = True
        slot.text, cut = _append(slot.text, event.text)
        slot.dropped += cut
    else:
        slot.thinking, cut = _append(slot.thinking, event.text)
        slot.thinking_dropped += cut


def _append(text: str, more: str) -> tuple[str, int]:
    """Return the text with `more` appended, and the number of characters cut from its start: rarely, then half."""
    text += sanitise(more)
    cut = len(text) - MAX_TAIL if len(text) > 2 * MAX_TAIL else 0
    return text[cut:], cut


def _attempt_ended(state: ViewState, event: e.AttemptEnded) -> None:
    state.meters.fold(event)
    if (task := _known(state, event.task)) is None:
        return
    slot = state.slots.get(event.slot)
    if slot is not None and _same_attempt(slot, event):
        _free_slot(state, slot)
    if event.state is AttemptState.DONE:
        task.rounds += 1
    elif event.error is not None:
        task.last_error = one_line(event.error)
    task.retry_at = None if event.retry_in_s is None else event.at + event.retry_in_s


def _ended(state: ViewState, event: e.TaskEnded) -> None:
    task = state.tasks.pop(event.task, None)
    state.changes.tasks.add(event.task)
    if task is not None:
        _detach(state, task)
        state.running -= task.state is TaskState.RUNNING
        state.changes.header = True
    if state.result(event.task) is not None:
        return
    state.meters.fold(event)
    final: Task = event.final
    if event.state is TaskState.DONE:
        state.counts.done += 1
    elif event.state is TaskState.FAILED:
        state.counts.failed += 1
    else:
        state.counts.cancelled += 1
    state.add_result(result_of(TaskRecord.of(final)))
    state.changes.header = state.changes.results = True


def _core(state: ViewState, event: e.CoreChanged) -> None:
    state.cores[event.info.name] = event.info
    if event.info.why and not state.why:
        state.why = one_line(event.info.why)
    state.changes.cores = state.changes.header = True


def _swap_planned(state: ViewState, event: e.SwapPlanned) -> None:
    if event.to_model:
        state.swaps[event.core] = event
    else:
        state.swaps.pop(event.core, None)
    state.changes.cores = True


def _swapped(state: ViewState, event: e.ModelSwapped) -> None:
    state.swaps.pop(event.core, None)
    state.changes.cores = True


def _slot(state: ViewState, event: e.SlotChanged) -> None:
    state.meters.fold(event)
    slot = state.slots.setdefault(event.slot, SlotView(event.slot, event.core))
    slot.state, slot.reason = event.state, one_line(event.reason)
    slot.version += 1
    state.changes.slots = True


def _notice(state: ViewState, event: e.Notice) -> None:
    notice = e.Notice(event.at, event.level, one_line(event.text))
    state.notices.append(notice)
    state.changes.notices.append(notice)


_FOLDS: dict[type[Any], Callable[[ViewState, Any], None]] = {
    e.KernelStateChanged: _kernel_state,
    e.PolicyChanged: _policy,
    e.TaskAccepted: _accepted,
    e.TaskRecovered: _recovered,
    e.TaskStarted: _started,
    e.TaskRequeued: _requeued,
    e.TaskReprioritised: _reprioritised,
    e.TaskHeld: _held,
    e.SyscallReady: _syscall_ready,
    e.AttemptStarted: _attempt_started,
    e.AttemptProgress: _progress,
    e.AttemptEnded: _attempt_ended,
    e.TaskEnded: _ended,
    e.CoreChanged: _core,
    e.SlotChanged: _slot,
    e.SwapPlanned: _swap_planned,
    e.ModelSwapped: _swapped,
    e.Notice: _notice,
}
