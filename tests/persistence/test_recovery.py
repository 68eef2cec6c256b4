"""Recovery of what an earlier run left, where rows are damaged; and faults, which survive a restart."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from engine.cores.port import Fault, FaultKind
from engine.errors import StoreError
from engine.task import TaskFault, TaskRecord, TaskSpec
from persistence import History, SqliteStore
from tests.engine.kernel.helpers import GateCore, make_kernel, within
from tests.persistence.helpers import accepted

DAMAGES = {
    "options = '{'": "Invalid JSON",
    """options = '{"max_tokens": 0}'""": "max_tokens: Input should be greater than or equal to 1",
    "prompt = ''": "Value error, the prompt is empty",
    "deadline = -1.0": "deadline: Input should be greater than 0",
    "query = '[]'": "Input should be an object",
    "submitted_at = 'soon'": "could not convert string to float: 'soon'",
}


def damage(path: Path, task: int, change: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA writable_schema = ON;"  # a damaged page may hold values that a strict table refuses
        "UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')');"
        "PRAGMA writable_schema = RESET"
    )
    connection.execute(f"UPDATE tasks SET {change} WHERE id = ?", (task,))
    connection.commit()
    connection.close()


@pytest.mark.parametrize(("change", "reason"), DAMAGES.items())
async def test_a_damaged_queued_task_fails_alone(store: SqliteStore, change: str, reason: str) -> None:
    await store.commit([accepted(task) for task in (1, 2, 3)])
    await store.close()
    damage(store.path, 2, change)
    again = SqliteStore(store.path)
    await again.open()
    recovery = await again.recover(max_interruptions=3)
    assert (recovery.failed, [task.id for task in recovery.queued]) == ((2,), [1, 3])
    await again.close()
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        ((task, error),) = connection.execute("SELECT id, error FROM tasks WHERE state = 'failed'")
    assert task == 2
    assert error.startswith("its record in the history is damaged: ") and reason in error and "\n" not in error


@pytest.mark.parametrize(("change", "reason"), DAMAGES.items())
async def test_loading_a_damaged_task_says_so(store: SqliteStore, change: str, reason: str) -> None:
    await store.commit([accepted(1)])
    damage(store.path, 1, change)
    with pytest.raises(StoreError, match="task 1 in the history is damaged: ") as raised:
        await store.load(1)
    assert reason in str(raised.value)


async def test_why_a_task_failed_is_known_after_a_restart(store: SqliteStore) -> None:
    core = GateCore(models=("a", "b"))
    kernel = make_kernel(core, store=store)
    await kernel.start()
    task = await kernel.submit(TaskSpec(prompt="p", model="c"))
    (await core.next()).end(Fault(FaultKind.NO_MODEL, "there is no c here", retryable=False))
    final = await within(kernel.wait(task))
    await kernel.stop()
    await store.close()
    expected = TaskFault("no_model", "c", "gate")
    again = SqliteStore(store.path)
    await again.open()
    loaded = await again.load(task)
    assert loaded is not None and loaded.fault == final.fault == expected
    await again.close()
    async with History(store.path) as history:
        (record,) = await history.list()
        assert record == TaskRecord.of(loaded)
        assert record.fault == expected
        assert [found.fault for found in await history.search("p")] == [expected]
        detail = await history.show(task)
        assert detail is not None and detail.record.fault == expected
    assert TaskRecord.model_validate_json(record.model_dump_json()) == record
    assert '"fault":{"kind":"no_model","model":"c","core":"gate"}' in record.model_dump_json()


async def test_a_damaged_fault_is_shown_as_far_as_it_can_be(store: SqliteStore) -> None:
    await store.commit([accepted(1)])
    damage(store.path, 1, "fault_kind = CAST(x'6eff' AS TEXT), fault_model = 'a' || char(27)")
    loaded = await store.load(1)
    async with History(store.path) as history:
        (record,) = await history.list()
    assert loaded is not None
    assert loaded.fault == record.fault == TaskFault("n\ufffd", "a\ufffd", None)
