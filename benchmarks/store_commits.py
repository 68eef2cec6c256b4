"""Tasks per second through the history: awaited one by one, in groups, and with plain sqlite3 for comparison.

Run with `python -m benchmarks.store_commits [--tasks N] [--waiters N] [--folder PATH]`. All are measured in one run on
the same disk, so their ratios mean more than the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.cores.port import Usage
from engine.events import AttemptEnded, AttemptStarted, TaskAccepted, TaskEnded, TaskStarted
from engine.task import AttemptState, Task, TaskSpec, TaskState
from persistence import SqliteStore
from persistence.schema import create
from persistence.statements import Record, write

PROMPT = "Tell me a funny story about a goose that wanted to be the mayor of a small town by the sea"
REPLY = "Once upon a time there was a goose, and the goose had a plan. " * 4


def events_of(task: int) -> tuple[TaskAccepted, list[TaskStarted | AttemptStarted | AttemptEnded], TaskEnded]:
    """All durable events of a task with one round: its acceptance, those in between, its end."""
    spec = TaskSpec(prompt=PROMPT)
    final = Task(task, spec, 1.0, 5, TaskState.DONE, 2.0, 3.0, task, 1, 1, 1, core="scripted", model="m", result=REPLY)
    usage = Usage(20, 60, 0.0, 0.1, 0.9)
    between: list[TaskStarted | AttemptStarted | AttemptEnded] = [
        TaskStarted(2.0, task, task, 1),
        AttemptStarted(2.0, task, 1, 1, "scripted/0", "scripted", "m", 1.0, PROMPT),
        AttemptEnded(3.0, task, 1, 1, "scripted/0", AttemptState.DONE, "m", REPLY, "", usage, 0.1, 1.0),
    ]
    return TaskAccepted(1.0, task, spec), between, TaskEnded(3.0, task, TaskState.DONE, final)


async def through_the_store(path: Path, tasks: int, waiters: int) -> float:
    """`waiters` coroutines, each taking task after task through its events, as the kernel does. Returns tasks/s."""
    store = SqliteStore(path)
    await store.open()
    all_events = [events_of(store.next_task_id()) for _ in range(tasks)]
    todo = iter(all_events)

    async def work() -> None:
        for acceptance, between, end in todo:
            await store.commit([acceptance])
            for event in between:
                store.append(event)
            await store.commit([end])

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(waiters):
            group.create_task(work())
    took = time.perf_counter() - began
    await store.close()
    return tasks / took


def with_sqlite3(path: Path, tasks: int) -> float:
    """The same statements on a plain connection, in one transaction: the upper limit. Returns tasks/s."""
    asyncio.run(create(path))
    all_events = [events_of(task) for task in range(1, tasks + 1)]
    records: list[Record] = [each[0] for each in all_events]
    records += [event for each in all_events for event in each[1]]
    records += [each[2] for each in all_events]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("INSERT INTO runs (pid, program, version, started_at) VALUES (1, 'benchmark', '', 0)")
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    write(connection, records, 1)
    connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return tasks / took


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--waiters", type=int, default=2_000)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        raw = with_sqlite3(Path(folder) / "raw.db", options.tasks)
        few = max(200, options.tasks // 50)
        rates = {
            "plain sqlite3, executemany, one transaction": raw,
            "the store, 1 waiter": asyncio.run(through_the_store(Path(folder) / "one.db", few, 1)),
            "the store, 64 waiters": asyncio.run(through_the_store(Path(folder) / "some.db", options.tasks // 2, 64)),
            f"the store, {options.waiters} waiters": asyncio.run(
                through_the_store(Path(folder) / "many.db", options.tasks, options.waiters)
            ),
        }
    for name, rate in rates.items():
        print(f"{name:<48} {rate:>9,.0f} tasks/s  {rate / raw:>6.1%} of plain sqlite3")


if __name__ == "__main__":
    main()
