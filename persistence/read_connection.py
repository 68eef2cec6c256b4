"""A read-only connection to a history, which works while another process owns and writes the history."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from engine.errors import StoreError
from persistence import errors, schema
from persistence.connection import ThreadedConnection
from persistence.files import wal_of

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


class ReadConnection:
    """Opens the history at `path` at the first call and runs functions on the connection, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._connection: ThreadedConnection | None = None
        self._lock = asyncio.Lock()

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` in one read transaction, so that all its queries see the same state.

        Raises:
            StoreError: there is no history at the path, the file is something else, or it can't be read.
        """
        async with self._lock:
            try:
                connection, keep_open = await self._open()
                try:
                    return await connection.run(lambda raw: _in_snapshot(raw, function))
                finally:
                    if not keep_open:
                        await connection.close()
            except (sqlite3.Error, OSError, *errors.DAMAGES) as error:
                _LOG.debug("reading %s failed", self.path, exc_info=True)
                raise StoreError(errors.line(self.path, "can't be read", error)) from error

    async def _open(self) -> tuple[ThreadedConnection, bool]:
        if self._connection is not None:
            return self._connection, True
        if not self.path.exists():
            raise StoreError(f"no history at {self.path}")
        if not self.path.is_file():
            raise StoreError(f"{self.path} is not a file: use --db for another")
        if self.path.stat().st_size == 0:
            raise StoreError(f"{self.path} is empty (0 bytes), which no history is: use --db for another")
        try:
            self._connection = await self._connect("mode=ro")
            return self._connection, True
        except sqlite3.OperationalError as error:
            wal = wal_of(self.path)
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or (wal.exists() and wal.stat().st_size):
                raise
        # SQLite can't create its shared memory in a folder without write permission. No process has the history open
        # (it would have created that), so this one read may treat the file as immutable.
        return await self._connect("mode=ro&immutable=1"), False

    async def _connect(self, mode: str) -> ThreadedConnection:
        connection = await ThreadedConnection.open(f"{self.path.as_uri()}?{mode}")
        try:
            await connection.run(self._check)
        except BaseException:
            await connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only = ON")
        version = schema.version_of(connection, self.path)
        if version < schema.newest_version():
            update = "open it once with the console, `aios-tui serve` or `run` to update it"
            raise StoreError(f"history {self.path} is of an older version: {update}")
        connection.row_factory = sqlite3.Row

    async def close(self) -> None:
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()


def _in_snapshot(connection: sqlite3.Connection, function: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN")
    try:
        return function(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
