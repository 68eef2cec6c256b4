"""Bringing a history up to date, and refusing one from the future."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.errors import StoreError
from persistence import History, SqliteStore, schema
from persistence.schema import APPLICATION_ID, Migration, migrations
from tests.persistence.helpers import accepted

NEXT = Migration(
    len(migrations()) + 1, "colours", "ALTER TABLE tasks ADD COLUMN colour TEXT; UPDATE tasks SET colour = 'red';"
)
BROKEN = Migration(
    len(migrations()) + 1, "broken", "ALTER TABLE tasks ADD COLUMN colour TEXT; UPDATE nowhere SET x = 1;"
)


async def new_history(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.commit([accepted(1)])
    await store.close()


def look(path: Path, sql: str) -> object:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchone()[0]
    finally:
        connection.close()


async def test_a_new_history_has_the_newest_version_and_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    await new_history(path)
    assert look(path, "PRAGMA user_version") == migrations()[-1].version
    assert look(path, "PRAGMA application_id") == APPLICATION_ID
    assert look(path, "PRAGMA journal_mode") == "wal"
    assert (
        look(
            path,
            "SELECT count(*) FROM pragma_table_list WHERE strict = 0 AND type = 'table' AND name NOT LIKE 'sqlite_%'",
        )
        == 0
    )


async def test_an_older_history_is_brought_up_to_date_with_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "h.db"
    await new_history(path)
    monkeypatch.setattr(schema, "migrations", lambda: (*migrations(), NEXT))
    with pytest.raises(StoreError, match="of an older version"):
        await History(path).list()
    await new_history_goes_on(path)
    assert look(path, "PRAGMA user_version") == NEXT.version
    assert look(path, "SELECT colour FROM tasks WHERE id = 1") == "red"


async def new_history_goes_on(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.commit([accepted(store.next_task_id())])
    await store.close()


async def test_a_step_that_fails_leaves_the_history_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h.db"
    await new_history(path)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda: (*migrations(), BROKEN))
        with pytest.raises(StoreError, match=r"can't be opened: no such table: nowhere"):
            await SqliteStore(path).open()
    assert look(path, "PRAGMA user_version") == len(migrations())
    await new_history_goes_on(path)


async def test_every_version_so_far_leads_to_the_newest(tmp_path: Path) -> None:
    for version in range(1, len(migrations()) + 1):
        path = tmp_path / f"{version}.db"
        connection = sqlite3.connect(path, isolation_level=None)
        schema.migrate(connection, 0, migrations()[:version])
        connection.close()
        await new_history_goes_on(path)
        async with History(path) as history:
            assert await history.check() == []
            assert [record.id for record in await history.list()] == [1]


async def test_a_history_of_a_newer_program_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    await new_history(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for refusing in (SqliteStore(path).open(), History(path).list()):
        with pytest.raises(StoreError, match="has version 99, written by a newer aios-tui") as raised:
            await refusing
        assert "\n" not in str(raised.value)
    assert len(await History(path).check()) == 1


async def test_the_log_of_a_history_that_is_gone_is_not_mixed_into_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    left = tmp_path / "h.db-wal"
    left.write_bytes(b"what an earlier history had not yet written back")
    with pytest.raises(StoreError, match=r"is gone, but h\.db-wal is there"):
        await SqliteStore(path).open()
    left.unlink()
    await new_history(path)


async def test_an_interrupted_creation_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "h.db.new").write_bytes(b"half of a database")
    await new_history(tmp_path / "h.db")
    assert not (tmp_path / "h.db.new").exists()


async def test_a_folder_that_can_not_be_made_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^history \S+ can't be opened: "):
        await SqliteStore(tmp_path / "file" / "h.db").open()
