"""Kept replays: durable, listed, read while the history is owned, deleted, and read when damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from persistence import History, NewReplay, SqliteStore


def replay(**given: object) -> NewReplay:
    values = {
        "at": 12.5,
        "workload": "five.jsonl",
        "policy": "npps",
        "mode": "virtual",
        "tasks": 2,
        "metrics": {"n": 2},
        "columns": b"\x00\xffpacked",
    }
    return NewReplay.model_validate(values | given)


async def test_what_is_kept_is_listed_shown_and_deleted(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "h.db")
    await store.open()
    first = await store.keep_replay(replay())
    second = await store.keep_replay(replay(policy="fifo", mode="live", core="embedded", complete=False, note="x"))
    async with History(store.path) as history:
        rows = await history.replays()
        assert [(row.id, row.policy, row.mode, row.complete) for row in rows] == [
            (second, "fifo", "live", False),
            (first, "npps", "virtual", True),
        ]
        assert [row.id for row in await history.replays(limit=1)] == [second]
        shown = await history.replay(first)
        assert shown is not None
        assert (shown.columns, shown.row.metrics, shown.row.at) == (b"\x00\xffpacked", {"n": 2}, 12.5)
        assert await store.delete_replay(first)
        assert not await store.delete_replay(first)
        assert not await store.delete_replay(2**70)
        assert await history.replay(first) is None
        assert await history.replay(-1) is None
    await store.close()
    again = SqliteStore(store.path)
    await again.open()
    assert await again.keep_replay(replay()) > second
    await again.close()


async def test_a_damaged_row_is_listed_all_the_same(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "h.db")
    await store.open()
    kept = await store.keep_replay(replay(workload="\x1b]0;title\x07name"))
    await store.close()
    connection = sqlite3.connect(store.path)
    assert "\x1b" not in connection.execute("SELECT workload FROM replays").fetchone()[0]
    connection.execute("UPDATE replays SET metrics = '{\"n\": ', workload = CAST(x'ff41' AS TEXT)")
    connection.commit()
    connection.close()
    async with History(store.path) as history:
        (row,) = await history.replays()
        assert (row.id, row.metrics) == (kept, {})
        assert row.workload.endswith("A")
