"""The reducer: what events make of the view state."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from aios_tui.console.state.reducer import _FOLDS, fold_all, resync
from aios_tui.console.state.view_state import MAX_RESULTS, MAX_TAIL, ViewState
from engine import events as e
from engine.cores.port import CoreInfo
from engine.task import AttemptState, Task, TaskSpec, TaskState
from tests.aios_tui.console import scene

SPEC = TaskSpec(prompt="hello", agent="author/chat", priority=4)


def folded(*events: e.Event) -> ViewState:
    return fold_all(ViewState(), events)


def started(task: int = 1, slot: str = "s/0", round: int = 1, attempt: int = 1, at: float = 3.0) -> e.AttemptStarted:
    return e.AttemptStarted(at, task, round, attempt, slot, "s", "m", at - 1, "hello")


def done(task: int = 1, slot: str = "s/0", round: int = 1, attempt: int = 1, **more: object) -> e.AttemptEnded:
    return replace(e.AttemptEnded(9.0, task, round, attempt, slot, AttemptState.DONE), **more)  # type: ignore[arg-type]


def test_a_tasks_whole_walk() -> None:
    state = folded(e.TaskAccepted(1.0, 1, SPEC))
    assert (state.queued, state.running, list(state.order)) == (1, 0, [1])
    assert (state.tasks[1].agent, state.tasks[1].ready_since) == ("chat", 1.0)

    fold_all(state, [e.TaskStarted(2.0, 1, 1, 2), started()])
    assert (state.queued, state.running, list(state.order)) == (0, 1, [])
    slot = state.slots["s/0"]
    assert (slot.task, slot.round, slot.round_total, slot.ttft_s) == (1, 1, 2, None)

    fold_all(state, [e.AttemptProgress(3.5, 1, 1, 1, "s/0", "progress", "", 0, 5, 10)])
    assert (slot.read, slot.to_read, slot.ttft_s) == (5, 10, None)
    fold_all(state, [e.AttemptProgress(4.0, 1, 1, 1, "s/0", "thinking", "hm", 1)])
    assert (slot.thinking, slot.talking, slot.ttft_s) == ("hm", False, 1.0)
    fold_all(state, [e.AttemptProgress(5.0, 1, 1, 1, "s/0", "text", "a\x1b[2Jb", 1)])
    assert (slot.text, slot.talking, slot.tokens, slot.tokens_per_s) == ("a\ufffd[2Jb", True, 2, 1.0)

    fold_all(state, [done(), e.SyscallReady(9.0, 1, 2)])
    assert (slot.task, state.tasks[1].rounds) == (None, 1)
    assert (list(state.order), state.running, state.queued) == ([1], 1, 0)
    fold_all(state, [started(round=2, at=10.0), done(round=2)])
    final = Task(1, SPEC, 1.0, 4, TaskState.DONE, started_at=2.0, ended_at=12.0, result="Hi.\nThere", rounds=2)
    fold_all(state, [e.TaskEnded(12.0, 1, TaskState.DONE, final)])
    assert (state.tasks, state.running, len(state.order), state.counts.done) == ({}, 0, 0, 1)
    row = state.results[0]
    assert (row.line, row.text, row.waiting_s, row.took_s) == ("Hi. There", "Hi.\nThere", 1.0, 10.0)


def test_several_rounds_at_once_keep_their_slots() -> None:
    state = folded(
        e.TaskAccepted(1.0, 1, SPEC),
        e.TaskStarted(2.0, 1, 1, None),
        started(round=1, slot="s/0"),
        started(round=2, slot="s/1"),
        e.SyscallReady(3.0, 1, 3),
        e.SyscallReady(4.0, 1, 4),
    )
    assert [slot.task for slot in state.slots.values()] == [1, 1]
    assert (list(state.order), state.tasks[1].ready_since) == ([1], 3.0)
    fold_all(state, [done(round=1), started(round=3, slot="s/0")])
    assert (list(state.order), state.tasks[1].ready_since, state.tasks[1].rounds) == ([1], 4.0, 1)
    fold_all(state, [e.TaskEnded(9.0, 1, TaskState.CANCELLED, Task(1, SPEC, 1.0, 4, TaskState.CANCELLED))])
    assert [slot.task for slot in state.slots.values()] == [None, None]
    assert (len(state.order), state.counts.cancelled) == (0, 1)


def test_a_failed_attempt_says_when_the_next_comes() -> None:
    state = folded(e.TaskAccepted(1.0, 1, SPEC), e.TaskStarted(2.0, 1, 1, 1), started())
    fold_all(state, [done(state=AttemptState.FAILED, error="[/foo] gone\nfor good", retry_in_s=2.0)])
    task = state.tasks[1]
    assert (task.retry_at, task.last_error, task.rounds) == (11.0, "[/foo] gone for good", 0)
    fold_all(state, [started(attempt=2)])
    assert (task.retry_at, task.attempts, state.slots["s/0"].attempt) == (None, 2, 2)
    fold_all(state, [e.AttemptProgress(5.0, 1, 1, 1, "s/0", "text", "late", 1)])
    assert state.slots["s/0"].text == ""


def test_a_retry_that_is_ready_has_no_time_to_wait_for() -> None:
    state = folded(e.TaskAccepted(1.0, 1, SPEC), e.TaskStarted(2.0, 1, 1, 1), started())
    fold_all(state, [done(state=AttemptState.FAILED, error="gone", retry_in_s=2.0), e.SyscallReady(11.0, 1, 1)])
    assert state.tasks[1].retry_at is None
    assert state.tasks[1].ready_since == 11.0


def test_a_changed_priority_and_another_policy_reorder() -> None:
    state = folded(*(e.TaskAccepted(float(n), n, SPEC) for n in (1, 2, 3)))
    fold_all(state, [e.PolicyChanged(5.0, "npps", "fifo"), e.TaskReprioritised(6.0, 3, 0, 4)])
    assert list(state.order) == [3, 1, 2]
    fold_all(state, [e.PolicyChanged(7.0, "fifo", "npps")])
    assert (list(state.order), state.policy) == ([1, 2, 3], "fifo")


def test_a_requeued_task_begins_again() -> None:
    state = folded(e.TaskAccepted(1.0, 1, SPEC), e.TaskStarted(2.0, 1, 1, 2), started(), done(), started(round=2))
    state.take_changes()
    fold_all(state, [e.TaskRequeued(9.0, 1, "stopped")])
    assert state.changes.header, "the count of running tasks is drawn again"
    assert (state.queued, state.running, list(state.order), state.tasks[1].rounds) == (1, 0, [1], 0)
    assert state.slots["s/0"].task is None


def test_meters_see_what_the_slots_see() -> None:
    state = folded(*scene.whole())
    reading = state.meters.core("ollama", scene.NOW)
    slot = state.slots["ollama/0"]
    assert (reading.attempts, reading.model, reading.errors) == (2, "qwen3:8b", 0)
    assert reading.ttft is not None and reading.ttft.n == 1
    assert reading.ttft.p50 == pytest.approx(slot.ttft_s)
    assert state.meters.tokens_per_s(scene.NOW) * 12 == pytest.approx(slot.tokens, rel=0.1)
    fresh = resync(state, scene.up())  # a snapshot in which nothing runs
    assert fresh.meters.core("ollama", scene.NOW) == replace(
        reading, utilisation=fresh.meters.core("ollama", scene.NOW).utilisation
    )
    fold_all(fresh, [e.AttemptProgress(scene.NOW, 9, 2, 1, "ollama/0", "text", "late", 50)])
    assert fresh.meters.core("ollama", scene.NOW).strip == reading.strip


def test_every_event_is_folded() -> None:
    assert set(get_args(e.Event)) == set(_FOLDS)


def test_the_next_swap_of_a_core_is_known_until_it_comes_or_falls_away() -> None:
    plan = e.SwapPlanned(1.0, "a", "m", "n", 7, 3)
    state = folded(plan, replace(plan, core="b"))
    assert state.swaps == {"a": plan, "b": replace(plan, core="b")}
    fold_all(state, [e.ModelSwapped(2.0, "a", "a/0", 7, "m", "n"), replace(plan, core="b", to_model="")])
    assert state.swaps == {}


def test_the_reason_for_the_choice_of_the_core_stays() -> None:
    first = CoreInfo("a", True, "m", (), why="auto: it answers")
    state = folded(e.CoreChanged(1.0, replace(first, why="")), e.CoreChanged(2.0, first))
    assert state.why == "auto: it answers"
    fold_all(state, [e.CoreChanged(3.0, replace(first, why="")), e.CoreChanged(4.0, replace(first, why="another"))])
    assert state.why == "auto: it answers"


def test_events_about_the_unknown_change_nothing() -> None:
    state = folded(
        e.TaskStarted(2.0, 7, 1, 2),
        started(7),
        done(7),
        e.SyscallReady(1.0, 7, 1),
        e.TaskReprioritised(1.0, 7, 3, 4),
        e.TaskRequeued(1.0, 7, "?"),
        e.AttemptProgress(5.0, 7, 1, 1, "s/9", "text", "late", 1),
    )
    assert (state.tasks, state.slots, state.running, len(state.order)) == ({}, {}, 0, 0)


def test_an_end_that_the_history_told_already_counts_once() -> None:
    event = scene.ended(5, TaskState.DONE, 10, text="x")
    state = folded(event, event)
    assert (state.counts.done, len(state.results)) == (1, 1)


def test_results_and_streams_are_bounded() -> None:
    state = folded(*(scene.ended(n, TaskState.DONE, 1_000 - n, text=str(n)) for n in range(MAX_RESULTS + 10)))
    assert (len(state.results), state.results[0].id) == (MAX_RESULTS, MAX_RESULTS + 9)
    assert state.result(3) is None and state.result(MAX_RESULTS) is not None
    fold_all(state, [e.TaskAccepted(1.0, 9_999, SPEC), e.TaskStarted(2.0, 9_999, 1, 1), started(9_999)])
    for n in range(600):
        fold_all(state, [e.AttemptProgress(5.0, 9_999, 1, 1, "s/0", "text", f"{n:049} ", 1)])
    slot = state.slots["s/0"]
    assert MAX_TAIL <= len(slot.text) <= 2 * MAX_TAIL
    assert slot.dropped + len(slot.text) == 600 * 50
    assert slot.text.endswith(f"{599:049} ")


def test_changes_tell_panes_what_to_draw() -> None:
    state = folded(*scene.whole())
    state.take_changes()
    fold_all(state, [e.AttemptProgress(scene.NOW, 9, 2, 1, "ollama/0", "text", "x", 1)])
    changes = state.take_changes()
    assert (changes.slots, changes.queue, changes.results, changes.header, changes.tasks) == (
        True, False, False, False, {9},
    )  # fmt: skip
    assert not state.take_changes()


def test_a_resync_keeps_what_no_snapshot_tells() -> None:
    state = folded(*scene.whole())
    slot = state.slots["ollama/0"]
    snapshot: list[e.Event] = [
        *scene.up(policy="fifo"),
        e.TaskRecovered(scene.NOW, 9, SPEC, 2, scene.NOW - 90, False),
        e.TaskStarted(scene.NOW - 30, 9, 9, 3),
        e.AttemptStarted(slot.started_at, 9, 2, 1, "ollama/0", "ollama", "qwen3:8b", slot.started_at, "Go on"),
        e.AttemptProgress(scene.NOW, 9, 2, 1, "ollama/0", "text", "all of it", 104),
    ]
    fresh = resync(state, snapshot)
    assert fresh.slots["ollama/0"].text == "all of it"
    assert fresh.slots["ollama/0"].ttft_s == slot.ttft_s == pytest.approx(0.31)
    assert (fresh.counts.done, len(fresh.results), fresh.tasks[9].rounds) == (6, 8, 1)
    assert (fresh.policy, fresh.running, fresh.queued) == ("fifo", 1, 0)
    assert fresh.meters is state.meters
    assert fresh.changes.everything
