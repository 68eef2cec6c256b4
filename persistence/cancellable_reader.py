"""Long reads that can be stopped: when nobody waits for them any more, and when they take too long."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from engine.errors import StoreError
from persistence.read_connection import Reader

T = TypeVar("T")

LIMIT_S = 30.0
STEPS = 50_000
"""Of SQLite's machine, between two looks at the clock; about a millisecond."""

_STOPPED = "the history was closed before this span was measured"


class PatientReader:
    """A connection of its own for what may take seconds, so that nothing else waits for it."""

    def __init__(self, reader: Reader, limit_s: float = LIMIT_S) -> None:
        self._reader = reader
        self._limit_s = limit_s
        self._stops: set[threading.Event] = set()

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """As `Reader.run`, but stopped when its caller is cancelled, by `close`, and after the limit: StoreError."""
        stop = threading.Event()
        self._stops.add(stop)
        inner = asyncio.ensure_future(self._reader.run(lambda raw: self._limited(raw, function, stop)))
        try:
            return await asyncio.shield(inner)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait({inner})
            inner.exception()
            raise
        finally:
            self._stops.discard(stop)

    def _limited(
        self, raw: sqlite3.Connection, function: Callable[[sqlite3.Connection], T], stop: threading.Event
    ) -> T:
        if stop.is_set():
            raise StoreError(_STOPPED)
        until = time.monotonic() + self._limit_s
        raw.set_progress_handler(lambda: stop.is_set() or time.monotonic() > until, STEPS)
        try:
            return function(raw)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
                raise
            if stop.is_set():
                raise StoreError(_STOPPED) from None
            raise StoreError(
                f"this span has too much in it to be measured within {self._limit_s:g} s: choose a shorter one"
            ) from None
        finally:
            raw.set_progress_handler(None, 0)

    async def close(self) -> None:
        """Stop what runs, and close the connection. Idempotent."""
        for stop in self._stops:
            stop.set()
        await self._reader.close()
