"""The store keeps what it is given, in order, and gives it back after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.events import PolicyChanged, TaskAccepted, TaskEnded, TaskHeld, TaskReprioritised, TaskRequeued
from engine.task import GenerationOptions, TaskRecord, TaskSpec, TaskState
from persistence import History, SqliteStore
from tests.persistence.helpers import accepted, attempt, attempt_ended, ended, started
from tests.persistence.raw import on_connection

SPEC = TaskSpec(
    prompt="Tell me a story",
    agent="own/story_teller",
    priority=2,
    model="m",
    client="c",
    deadline=9.0,
    options=GenerationOptions(max_tokens=5),
    ref="r",
    workload="w.jsonl",
    input_tokens=3,
    output_tokens=4,
)


async def write_whole_task(store: SqliteStore) -> tuple[int, TaskEnded]:
    task = store.next_task_id()
    await store.commit([TaskAccepted(100.0, task, SPEC)])
    store.append(PolicyChanged(100.5, "npps", "fifo"))
    store.append(TaskReprioritised(100.6, task, 5, 2))
    store.append(started(task))
    store.append(attempt(task))
    store.append(attempt_ended(task))
    end = ended(task)
    await store.commit([end])
    return task, end


async def test_a_task_from_acceptance_to_its_end_reads_back_as_its_record(store: SqliteStore) -> None:
    task, end = await write_whole_task(store)
    async with History(store.path) as history:
        assert await history.list() == [
            TaskRecord.of(end.final).model_copy(
                update={
                    "agent": "story_teller",
                    "agent_name": "own/story_teller",
                    "client": "c",
                    "deadline": 9.0,
                    "ref": "r",
                    "workload": "w.jsonl",
                }
            )
        ]
        detail = await history.show(task)
        assert detail is not None
        assert (detail.asked_priority, detail.asked_model, detail.options) == (2, "m", GenerationOptions(max_tokens=5))
        (only,) = detail.attempts
        assert (only.reply, only.thinking, only.model, only.waiting_s, only.tokens_out) == (
            "Once upon a time",
            "hm",
            "m:1b",
            0.5,
            20,
        )
        assert [(change.priority, change.previous) for change in detail.priority_changes] == [(5, 2)]
        (run,) = await history.runs()
        assert (run.program, run.version, run.ended_at) == ("test", "1.2", None)
        assert [each.policy for each in await history.acts() if each.policy] == ["npps"]
        switches = await on_connection(store, lambda raw: list(raw.execute("SELECT * FROM policy_switches")))
        assert [row[1:] for row in switches] == [(100.5, run.id, "npps", "fifo")]
        assert await history.check() == []
        assert [r.id for r in await history.search("once tim")] == [task]
        assert (await history.counts())[TaskState.DONE] == 1
    loaded = await store.load(task)
    assert loaded is not None
    assert loaded.spec == SPEC


async def test_a_requeued_task_begins_again_and_its_attempts_do_not_collide(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.commit([accepted(1)])
    for event in (started(1), attempt(1), TaskRequeued(102.0, 1, "stopped"), started(1), attempt(1), attempt_ended(1)):
        store.append(event)
    await store.commit([ended(1)])
    assert caplog.text == ""  # all in one batch, without a doubt
    async with History(store.path) as history:
        detail = await history.show(1)
    assert detail is not None
    assert detail.interruptions == 0
    assert [(each.start, each.round, each.attempt) for each in detail.attempts] == [(1, 1, 1), (2, 1, 1)]


async def test_recovery_requeues_until_the_limit_then_fails(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit([accepted(1), accepted(2)])
    await store.close()
    for time in (1, 2, 3):
        store = SqliteStore(path)
        await store.open()
        store.append(started(2))
        await store.commit([attempt(2)])
        found = await store.recover(max_interruptions=3)
        again = await store.recover(max_interruptions=3)
        await store.close()
        if time < 3:
            assert [task.id for task in found.queued] == [1, 2]
            assert (set(found.interrupted), list(found.failed)) == ({2}, [])
            assert [task.interruptions for task in again.queued] == [0, time]
        else:
            assert [task.id for task in found.queued] == [1]
            assert (set(found.interrupted), list(found.failed)) == (set(), [2])
        assert not again.interrupted
    async with History(path) as history:
        (failed,) = await history.list(state=TaskState.FAILED)
        assert failed.error == "interrupted 3 times: the program died while it ran"
        assert failed.attempts == 3


async def test_a_task_is_held_until_it_is_released_starts_or_ends(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit([accepted(key) for key in range(1, 5)])
    for key in range(1, 5):
        store.append(TaskHeld(101.0, key, True))
    store.append(TaskHeld(102.0, 2, False))
    await store.commit([started(3), ended(4, state=TaskState.CANCELLED)])
    await store.close()
    store = SqliteStore(path)
    await store.open()
    recovery = await store.recover(max_interruptions=3)
    await store.close()
    assert [(task.id, task.held) for task in recovery.queued] == [(1, True), (2, False), (3, False)]
    async with History(path) as history:
        assert {record.id: record.held for record in await history.list()} == {1: True, 2: False, 3: False, 4: False}


async def test_ids_go_on_after_a_restart(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        store = SqliteStore(tmp_path / "h.db")
        await store.open()
        assert store.next_task_id() == expected
        await store.commit([accepted(expected)])
        await store.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "h.db")
    with pytest.raises(StoreError, match="not open"):
        store.next_task_id()
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.commit([accepted(1)])
