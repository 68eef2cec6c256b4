"""The store's own connection, for tests that break it or watch it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from persistence import SqliteStore

T = TypeVar("T")


async def on_connection(store: SqliteStore, function: Callable[[sqlite3.Connection], T]) -> T:
    assert store._connection is not None
    return await store._connection.run(function)


async def fill_disk(store: SqliteStore) -> None:
    """From now on the database can't grow, as on a full disk."""

    def fill(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await on_connection(store, fill)


async def free_disk(store: SqliteStore) -> None:
    await on_connection(store, lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone())


async def count_transactions(store: SqliteStore) -> list[str]:
    """A list that grows by one for each transaction committed from now on."""
    commits: list[str] = []

    def watch(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    await on_connection(store, watch)
    return commits
