"""The connection's thread: a function that has begun runs to its end, and none replaces another."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from persistence.connection import ThreadedConnection
from tests.waiting import PATIENCE_S


async def test_a_caller_cancelled_twice_leaves_the_others_their_turns(tmp_path: Path) -> None:
    connection = await ThreadedConnection.open(f"{(tmp_path / 'x.db').as_uri()}?mode=rwc")
    go, ran = threading.Event(), []

    def named(name: str, *, wait: bool = False) -> Callable[[sqlite3.Connection], str]:
        def function(_: sqlite3.Connection) -> str:
            if wait:
                go.wait(PATIENCE_S)
            ran.append(name)
            return name

        return function

    async def impatient(task: asyncio.Task[str]) -> None:
        for _ in range(2):
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()

    first = asyncio.create_task(connection.run(named("first", wait=True)))
    await impatient(first)
    second = asyncio.create_task(connection.run(named("second")))
    third = asyncio.create_task(connection.run(named("third")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not first.done(), "its function still has the connection"
    go.set()
    assert [await second, await third] == ["second", "third"]
    assert ran == ["first", "second", "third"]
    assert first.cancelled()
    await connection.close()
