"""The schema of a history: its version, and the migrations that bring an older one up to date."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from engine.errors import StoreError
from engine.files import sync_folder
from persistence.connection import ThreadedConnection
from persistence.files import make_private_file, wal_of

APPLICATION_ID = 0x41494F53  # "AIOS"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step, from `version` − 1 to `version`."""

    version: int
    name: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations in order, from the files `migrations/NNNN_name.sql`, numbered from 1 without a gap."""
    found = []
    for file in resources.files("persistence").joinpath("migrations").iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql") and number.isdigit():
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda step: step.version)
    if [step.version for step in found] != list(range(1, len(found) + 1)):
        raise StoreError("the program is installed incompletely: its history migrations have gaps; install it again")
    return tuple(found)


def newest_version() -> int:
    return len(migrations())


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of the open history.

    Raises:
        StoreError: the file is not a history, or a newer program wrote it.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID or version < 1:
        raise StoreError(f"{path} is not a history of aios-tui: use --db for another file")
    if version > newest_version():
        raise StoreError(
            f"history {path} has version {version}, written by a newer aios-tui than this one, which knows up to "
            f"{newest_version()}: update, or use --db for another"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, version: int, steps: Sequence[Migration] | None = None) -> None:
    """Apply every migration above `version`, each in one transaction."""
    for step in (migrations() if steps is None else steps)[version:]:
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{step.sql}\nPRAGMA user_version = {step.version:d};\nCOMMIT;")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def configure(connection: sqlite3.Connection) -> None:
    """Set up the connection that writes. Raises StoreError if the file system does not support write-ahead logging."""
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(f"the history needs write-ahead logging, which this file system refuses (got {mode!r})")
    connection.execute("PRAGMA synchronous = FULL")  # NORMAL loses acknowledged commits at a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")  # 16 MiB: a big group must not mean a checkpoint each time
    connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")


async def create(path: Path) -> None:
    """Create a new history at `path` in one step.

    It is built beside `path` and renamed, so that an empty file at `path` always means damage, never an interrupted
    start. `engine.files.atomic_writer` does not fit: SQLite has to write the temporary file itself, by its name.

    Raises:
        StoreError: the write-ahead log of an earlier database is there, which SQLite would apply to the new one.
    """
    left = wal_of(path)
    if left.exists() and left.stat().st_size:
        raise StoreError(f"history {path} is gone, but {left.name} is there: put it back, or remove {left.name}")
    new = path.with_name(path.name + ".new")
    for stale in (new, wal_of(new), new.with_name(new.name + "-shm"), new.with_name(new.name + "-journal"), left):
        stale.unlink(missing_ok=True)
    make_private_file(new)
    connection = await ThreadedConnection.open(f"{new.as_uri()}?mode=rw")
    try:
        await connection.run(lambda raw: migrate(raw, 0))
    finally:
        await connection.close()
    os.replace(new, path)  # noqa: PTH105  (Path.replace says the same; this one names the atomic call)
    sync_folder(path.parent)
