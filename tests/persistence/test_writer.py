"""The one writer: group commit, order, and what it does when the disk will not take more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.events import TaskAccepted, TaskStarted
from engine.task import AttemptState, TaskSpec, TaskState
from persistence import History, SqliteStore
from tests.persistence.helpers import accepted, attempt, attempt_ended, ended, started
from tests.persistence.raw import count_transactions, fill_disk, free_disk, on_connection

LONG = "many words that do not fit " * 2000


async def test_many_commits_at_once_share_few_transactions(store: SqliteStore) -> None:
    commits = await count_transactions(store)
    await asyncio.gather(*(store.commit([accepted(task)]) for task in range(1, 501)))
    assert 1 <= len(commits) <= 5
    async with History(store.path) as history:
        assert (await history.counts())[TaskState.QUEUED] == 500


async def test_appends_are_written_before_a_later_commit_returns(store: SqliteStore) -> None:
    await store.commit([accepted(1)])
    commits = await count_transactions(store)
    for event in (started(1), attempt(1), attempt_ended(1)):
        store.append(event)
    await store.commit([ended(1)])
    assert len(commits) == 1
    async with History(store.path) as history:
        assert [record.state for record in await history.list()] == [TaskState.DONE]


async def test_a_full_disk_refuses_submissions_keeps_ends_and_goes_on_when_there_is_room(store: SqliteStore) -> None:
    reported: list[str | None] = []
    store.on_write_error(reported.append)
    await store.commit([accepted(1), accepted(2)])
    store.append(started(1))
    await store.commit([attempt(1)])
    await fill_disk(store)

    end = asyncio.create_task(store.commit([attempt_ended(1, reply=LONG), ended(1, result=LONG)]))
    with pytest.raises(StoreError, match=r"history \S+ can't be written: the disk is full.* not accepted"):
        await store.commit([accepted(3, LONG)])
    store.append(TaskStarted(104.0, 2, 2, 1))
    assert not end.done()
    assert store.unwritten >= 3
    assert len(reported) == 1
    assert "the disk is full" in str(reported[0])

    await free_disk(store)
    await end
    await store.commit([])
    assert reported[1:] == [None]
    assert store.unwritten == 0
    async with History(store.path) as history:
        assert [(r.id, r.state) for r in await history.list(newest_first=False)] == [
            (1, TaskState.DONE),
            (2, TaskState.RUNNING),
        ]
        assert [r.id for r in await history.search("many words")] == [1]
        assert await history.check() == []


async def test_a_full_disk_is_tried_again_by_itself(store: SqliteStore) -> None:
    await store.commit([accepted(1)])
    store.append(started(1))
    store.append(attempt(1))
    await store.commit([])
    await fill_disk(store)
    trouble = asyncio.Event()
    store.on_write_error(lambda line: trouble.set() if line else None)
    end = asyncio.create_task(store.commit([attempt_ended(1, reply=LONG)]))
    await trouble.wait()
    await free_disk(store)
    await end  # nothing else is called: the timer does it


async def test_submissions_given_together_are_refused_together(store: SqliteStore) -> None:
    await fill_disk(store)
    with pytest.raises(StoreError):
        await store.commit([accepted(1), accepted(2, LONG), accepted(3)])
    await free_disk(store)
    async with History(store.path) as history:
        assert await history.list() == []


async def test_closing_on_a_full_disk_gives_up_and_says_what_is_lost(store: SqliteStore) -> None:
    await store.commit([accepted(1)])
    store.append(started(1))
    store.append(attempt(1))
    await store.commit([])
    await fill_disk(store)
    end = asyncio.create_task(store.commit([attempt_ended(1, reply=LONG), ended(1, result=LONG)]))
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match=r"the disk is full.*; 2 records are lost"):
        await store.close()
    with pytest.raises(StoreError, match="the disk is full"):
        await end
    again = SqliteStore(store.path)
    await again.open()  # the lock was let go
    found = await again.recover(max_interruptions=3)
    await again.close()
    assert [task.id for task in found.queued] == [1]


async def test_closing_on_a_full_disk_with_nothing_to_lose_is_no_error(store: SqliteStore) -> None:
    await store.commit([accepted(1)])
    await on_connection(store, lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())
    await store.close()
    again = SqliteStore(store.path)
    await again.open()
    assert [task.id for task in (await again.recover(max_interruptions=3)).queued] == [1]
    await again.close()


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_file_removed_while_in_use_is_noticed_and_may_come_back(store: SqliteStore, suffix: str) -> None:
    reported: list[str | None] = []
    store.on_write_error(reported.append)
    await store.commit([accepted(1)])
    file = Path(f"{store.path}{suffix}")
    away = file.with_name("away")
    file.rename(away)
    with pytest.raises(StoreError, match="was removed while in use"):
        await store.commit([accepted(2)])
    file.write_bytes(b"")
    with pytest.raises(StoreError, match="was replaced while in use"):
        await store.commit([accepted(2)])
    away.replace(file)
    await store.commit([accepted(3)])
    assert reported[-1] is None
    async with History(store.path) as history:
        assert [record.id for record in await history.list()] == [3, 1]


async def test_a_second_end_is_refused_loudly_and_the_first_one_stays(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    reported: list[str | None] = []
    store.on_write_error(reported.append)
    await store.commit([accepted(1), accepted(2)])
    store.append(started(1))
    store.append(attempt(1))
    store.append(attempt_ended(1))
    await store.commit([ended(1)])
    store.append(attempt_ended(1, state=AttemptState.FAILED))
    store.append(started(2))
    await store.commit([ended(1, state=TaskState.FAILED, result="other")])
    assert len([line for line in reported if line and "refused" in line]) == 2
    assert reported[-1] is None, "the disk is well: nothing has to wait"
    assert "refused TaskEnded(task 1, state failed)" in caplog.text
    async with History(store.path) as history:
        detail = await history.show(1)
        assert detail is not None
        assert (detail.record.state, detail.record.result) == (TaskState.DONE, "Once upon a time")
        assert [each.state for each in detail.attempts] == [AttemptState.DONE]
        second = await history.show(2)
        assert second is not None
        assert second.record.state is TaskState.RUNNING  # what came in the same batch is kept
        assert await history.search("other") == []
        assert await history.check() == []
    await store.commit([accepted(3)])
    assert reported[-1] is None


async def test_an_id_given_twice_is_refused_without_harm_to_others(store: SqliteStore) -> None:
    await store.commit([accepted(1)])
    results = await asyncio.gather(
        store.commit([accepted(2)]),
        store.commit([accepted(3), accepted(1)]),
        store.commit([accepted(4)]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StoreError, type(None)]
    async with History(store.path) as history:
        assert [record.id for record in await history.list()] == [4, 2, 1]


async def test_text_and_numbers_that_sqlite_refuses_are_kept_in_a_form_it_takes(store: SqliteStore) -> None:
    spec = TaskSpec.model_construct(**(TaskSpec(prompt="x").model_dump() | {"prompt": "bad \ud800 word"}))
    spec = spec.model_copy(update={"options": TaskSpec(prompt="x").options})
    await store.commit([TaskAccepted(1.0, 1, spec)])
    store.append(started(1))
    store.append(attempt(1))
    store.append(attempt_ended(1, reply="half a \udfff pair"))
    end = ended(1, result="half a \udfff pair")
    end.final.tokens_out = 10**30
    await store.commit([end])
    async with History(store.path) as history:
        (record,) = await history.search("pair")
        assert (record.result, record.tokens_out) == ("half a \ufffd pair", 2**63 - 1)
        assert await history.check() == []


async def test_a_submission_whose_caller_is_gone_is_not_made(store: SqliteStore) -> None:
    first = asyncio.create_task(store.commit([accepted(1)]))
    second = asyncio.create_task(store.commit([accepted(2)]))
    await asyncio.sleep(0)
    second.cancel()
    await first
    await store.commit([])
    async with History(store.path) as history:
        assert [record.id for record in await history.list()] == [1]


async def test_a_listener_that_fails_does_not_stop_the_writer(store: SqliteStore) -> None:
    def fail(line: str | None) -> None:
        raise RuntimeError("listener")

    store.on_write_error(fail)
    await fill_disk(store)
    with pytest.raises(StoreError):
        await store.commit([accepted(1, LONG)])
    await free_disk(store)
    await store.commit([accepted(2)])
