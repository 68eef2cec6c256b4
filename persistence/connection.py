"""One SQLite connection on its own thread that runs whole functions instead of single statements."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import aiosqlite

T = TypeVar("T")

LOCKED_S = 2.0  # how long to wait for a database that another program has locked


class _Connection(sqlite3.Connection):
    """A connection whose `commit` runs a staged function, so that one thread switch executes a whole transaction.

    aiosqlite switches to its thread for every method call. A hundred statements are a hundred switches, which cost six
    times as much as the statements. All connections here are in autocommit mode, where plain `commit` does nothing.
    """

    staged: Callable[[sqlite3.Connection], Any] | None = None
    result: Any = None

    def commit(self) -> None:
        staged, self.staged = self.staged, None
        if staged is not None:
            self.result = staged(self)


class ThreadedConnection:
    """An aiosqlite connection in autocommit mode that runs functions one after the other."""

    def __init__(self, connection: aiosqlite.Connection, raw: _Connection) -> None:
        self._connection = connection
        self._raw = raw
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, target: str) -> ThreadedConnection:
        """Connect to `target`, a `file:` URI.

        Raises:
            sqlite3.Error: as `sqlite3.connect` does.
        """
        made: list[_Connection] = []

        def factory(*args: Any, **kwargs: Any) -> _Connection:
            made.append(_Connection(*args, **kwargs))
            return made[0]

        connecting = aiosqlite.connect(
            target, uri=True, isolation_level=None, timeout=LOCKED_S, cached_statements=64, factory=factory
        )
        # An unclosed connection must not keep the program from ending. In older releases the connection is the thread.
        thread: Any = getattr(connecting, "_thread", connecting)
        thread.daemon = True
        try:
            connection = await connecting
        except BaseException:
            thread.join(LOCKED_S)  # its last act is a call into the loop, which must still be open then
            raise
        opened = cls(connection, made[0])
        await opened.run(_read_text_leniently)
        return opened

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` with the connection on its thread, and return its result.

        Once begun it runs to its end, also if the caller is cancelled meanwhile.
        """
        async with self._lock:
            self._raw.staged = function
            call = asyncio.ensure_future(self._connection.commit())
            interruption: asyncio.CancelledError | None = None
            try:
                while not call.done():  # returning early, the next caller would overwrite the staged function
                    try:
                        await asyncio.wait([call])
                    except asyncio.CancelledError as error:
                        interruption = error
                if interruption is not None:
                    call.exception()  # nobody is left to handle it
                    raise interruption
                call.result()
            finally:
                result, self._raw.result = self._raw.result, None
            return cast(T, result)

    async def close(self) -> None:
        """Close the connection and end its thread."""
        async with self._lock:
            await self._connection.close()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the body writes; if it raises, or the commit fails, nothing of it is written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # after some errors SQLite has rolled back by itself
                connection.execute("ROLLBACK")


def _read_text_leniently(connection: sqlite3.Connection) -> None:
    # One damaged byte must not make a whole row unreadable.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
