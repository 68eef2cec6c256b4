"""A process for tests that owns a history: accepts and ends tasks as fast as it can, and says what was acknowledged.

`python -m tests.persistence.child PATH` prints `open`, then a line an acknowledgement: `accepted ID` or `ended ID`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from persistence import SqliteStore
from tests.persistence.helpers import accepted, attempt, attempt_ended, ended, started


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def live(store: SqliteStore) -> None:
    while True:
        task = store.next_task_id()
        await store.commit([accepted(task)])
        say(f"accepted {task}")
        for event in (started(task), attempt(task), attempt_ended(task)):
            store.append(event)
        await store.commit([ended(task, result=f"result {task}")])
        say(f"ended {task}")


async def main(path: Path) -> None:
    store = SqliteStore(path, program="console")
    await store.open()
    await store.recover(max_interruptions=1_000)
    say("open")
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(live(store))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
