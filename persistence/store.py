"""The history in SQLite: implements `engine.store.Store` with one connection that writes.

Guarantee: what `commit` has returned for survives `kill -9` and power loss. SQLite runs in WAL mode with
`synchronous=FULL`, which syncs the log at each commit; NORMAL, SQLite's usual advice for WAL, loses acknowledged
commits at a power cut. See `writer.py` for how that stays fast.

One process owns a history from `open` to `close`, by a lock file that the system releases when the process dies, so a
crash leaves no stale lock. SQLite's own locks were not enough: they would let two programs dispatch the same tasks.
Readers (`History`) need no lock and work beside the owner.

Order of opening, each step depending on those before: private folder, owner lock, create or check the file, migrate,
add a row to `runs`. An empty file at the path is refused, because a new history is built beside it and renamed: an
empty one means that something truncated it, and initialising it would hide the loss.

Task ids come from a counter in memory that starts at AUTOINCREMENT's highest id ever given, so that a submission needs
no extra round trip and ids grow with arrival, also after deletions.

There are two ways to the connection. Events go through the writer, in order. Recovery, loading and replays run as
functions on the same connection between two of the writer's transactions; recovery first waits for all earlier events.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import aiosqlite

from engine.errors import StoreError
from engine.events import Durable
from engine.files import PRIVATE_FILE, make_private_folder
from engine.store import Recovery
from engine.task import Task
from persistence import errors, recovery, replays, schema
from persistence.connection import ThreadedConnection, transaction
from persistence.files import OwnerLock
from persistence.statements import MAX_INTEGER, CoreNamed, RunEnded
from persistence.writer import Writer

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


class SqliteStore:
    """A history in the SQLite database `path`, owned by this process from `open` to `close`.

    The file and its write-ahead log have mode 0600, folders that are created mode 0700. Opening adds a row to `runs`
    with `program` (`console`, `run`) and `version`.
    """

    def __init__(self, path: Path, *, program: str = "aios-tui", version: str = "") -> None:
        self.path = path.expanduser().resolve()
        self._program = program
        self._version = version
        self._lock = OwnerLock(self.path)
        self._connection: ThreadedConnection | None = None
        self._writer: Writer | None = None
        self._run = 0
        self._last_id = 0
        self._listeners: list[Callable[[str | None], None]] = []
        self._error: str | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def unwritten(self) -> int:
        """Number of records that were given and are not written yet."""
        return 0 if self._writer is None else self._writer.unwritten

    async def open(self) -> None:
        if self._connection is not None:
            raise StoreError(f"history {self.path} is open already")
        try:
            make_private_folder(self.path.parent)
            self._lock.acquire(self._program)
            try:
                await self._open()
            except BaseException:
                await self._release()
                raise
        except (sqlite3.Error, OSError, *errors.DAMAGES) as error:
            raise StoreError(errors.line(self.path, "can't be opened", error)) from error

    async def _open(self) -> None:
        if not self.path.exists():
            await schema.create(self.path)
        if self.path.stat().st_size == 0:
            raise StoreError(f"history {self.path} is empty (0 bytes): remove it to begin a new one, or use --db")
        self._connection = await ThreadedConnection.open(f"{self.path.as_uri()}?mode=rw")
        self._run, self._last_id = await self._connection.run(self._prepare)
        self.path.chmod(PRIVATE_FILE)
        self._closing = None
        self._writer = Writer(self._connection, path=self.path, run=self._run, on_error=self._report)

    def _prepare(self, connection: sqlite3.Connection) -> tuple[int, int]:
        version = schema.version_of(connection, self.path)
        schema.configure(connection)
        schema.migrate(connection, version)
        row = (os.getpid(), self._program, self._version, time.time())
        run = connection.execute("INSERT INTO runs (pid, program, version, started_at) VALUES (?, ?, ?, ?)", row)
        (last,) = connection.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tasks'"
        ).fetchone()
        return run.lastrowid or 0, last

    async def recover(self, *, max_interruptions: int) -> Recovery:
        writer = self._open_writer()
        await writer.commit(())  # everything given before is written then

        def recover(connection: sqlite3.Connection) -> Recovery:
            with transaction(connection):
                return recovery.recover(connection, max_interruptions=max_interruptions, run=self._run, at=time.time())

        return await self._run_function(recover, "can't be recovered")

    async def load(self, task_id: int) -> Task | None:
        """The task as it was last made durable, or None if there is none with this id. Raises StoreError."""
        if not 0 < task_id <= MAX_INTEGER:
            return None
        return await self._run_function(lambda connection: recovery.load(connection, task_id), "can't be read")

    async def keep_replay(self, replay: replays.NewReplay) -> int:
        """Store a replay, durable on return. Returns its id. Raises StoreError."""
        return await self._run_function(lambda connection: replays.add(connection, replay), "can't keep the replay")

    async def delete_replay(self, replay_id: int) -> bool:
        """Delete a stored replay; False if there is none with this id. Raises StoreError."""
        if not 0 < replay_id <= MAX_INTEGER:
            return False
        return await self._run_function(lambda connection: replays.delete(connection, replay_id), "can't be written")

    def next_task_id(self) -> int:
        """A task id not given before. One whose submission never became durable may be reused after a restart."""
        self._open_writer()
        self._last_id += 1
        return self._last_id

    def append(self, event: Durable) -> None:
        if self._writer is None:
            _LOG.error("history %s is not open; lost: %s", self.path, type(event).__name__)
            return
        self._writer.append(event)

    async def commit(self, events: Sequence[Durable]) -> None:
        await self._open_writer().commit(events)

    def name_core(self, core: str) -> None:
        """Record in `runs` which core this run of the program uses. Does not wait."""
        self._open_writer().append(CoreNamed(core))

    def on_write_error(self, listener: Callable[[str | None], None]) -> None:
        self._listeners.append(listener)
        if self._error is not None:
            listener(self._error)

    def _report(self, error: str | None) -> None:
        self._error = error
        for listener in self._listeners:
            listener(error)

    async def close(self) -> None:
        """Write all pending records, then release file and lock; a second call does nothing.

        Raises:
            StoreError: the last records could not be written; the line says how many are lost. All is released.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        elif self._closing.done():
            return
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.append(RunEnded(time.time()))
                await writer.finish()
        finally:
            await self._release()

    async def _release(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                await connection.close()
        except aiosqlite.Error as error:
            _LOG.error("%s", errors.line(self.path, "was not closed cleanly", error))
        finally:
            self._lock.release()

    async def _run_function(self, function: Callable[[sqlite3.Connection], T], failure: str) -> T:
        connection = self._connection
        if connection is None:
            raise StoreError(f"history {self.path} is not open")
        try:
            return await connection.run(function)
        except (sqlite3.Error, *errors.DAMAGES) as error:
            raise StoreError(errors.line(self.path, failure, error)) from error

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise StoreError(f"history {self.path} is not open")
        return self._writer
