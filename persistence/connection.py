"""One SQLite connection on a thread of its own, given whole functions to run instead of single statements."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar, cast

import aiosqlite

T = TypeVar("T")

LOCKED_S = 2.0  # how long a database that another program keeps locked is waited for


class _Connection(sqlite3.Connection):
    """A connection whose `commit` runs a staged function, so that one hop to its thread does a whole transaction.

    aiosqlite hops to the thread once for each method called. A hundred statements are a hundred hops, which costs six
    times what the statements do. All connections here are in autocommit mode, where plain `commit` does nothing.
    """

    staged: Callable[[sqlite3.Connection], Any] | None = None
    result: Any = None

    def commit(self) -> None:
        staged, self.staged = self.staged, None
        if staged is not None:
            self.result = staged(self)


class ThreadedConnection:
    """An aiosqlite connection in autocommit mode on which functions run one after the other."""

    def __init__(self, connection: aiosqlite.Connection, raw: _Connection) -> None:
        self._connection = connection
        self._raw = raw
        self._turn = asyncio.Lock()

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
        # A connection that nobody closed must not keep the program from ending. Older releases are threads themselves.
        thread: Any = getattr(connecting, "_thread", connecting)
        thread.daemon = True
        try:
            connection = await connecting
        except BaseException:
            thread.join(LOCKED_S)  # it is ending, and tells the loop so, which must not be closed by then
            raise
        opened = cls(connection, made[0])
        await opened.run(_read_text_leniently)
        return opened

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` with the connection on its thread, in one hop, and return what it returns.

        Once begun it runs to its end, also when the caller is cancelled meanwhile.
        """
        async with self._turn:
            self._raw.staged = function
            hop = asyncio.ensure_future(self._connection.commit())
            interruption: asyncio.CancelledError | None = None
            try:
                while not hop.done():  # cancelled twice, the next one's function would take this one's place
                    try:
                        await asyncio.wait([hop])
                    except asyncio.CancelledError as error:
                        interruption = error
                if interruption is not None:
                    hop.exception()  # nobody is left to be told
                    raise interruption
                hop.result()
            finally:
                result, self._raw.result = self._raw.result, None
            return cast(T, result)

    async def close(self) -> None:
        """Close the connection and end its thread."""
        async with self._turn:
            await self._connection.close()


def _read_text_leniently(connection: sqlite3.Connection) -> None:
    # A flipped byte in a file must not make a whole row unreadable.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
