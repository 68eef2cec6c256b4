"""Cancellable, time-limited reads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from engine.errors import StoreError
from persistence.read_connection import ReadConnection

T = TypeVar("T")

LIMIT_S = 30.0
STEPS = 50_000
"""SQLite virtual machine instructions between two checks of the clock: about a millisecond."""

_STOPPED = "the history was closed before this span was measured"


class CancellableReader:
    """A separate connection for queries that may take seconds, so that no other read waits for them."""

    def __init__(self, reader: ReadConnection, limit_s: float = LIMIT_S) -> None:
        self._reader = reader
        self._limit_s = limit_s
        self._stops: set[threading.Event] = set()

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """As `ReadConnection.run`, but interrupted by `close`, cancellation and the limit. Raises StoreError."""
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
                f"this span has too much activity to be measured within {self._limit_s:g} s: choose a shorter one"
            ) from None
        finally:
            raw.set_progress_handler(None, 0)

    async def close(self) -> None:
        """Interrupt running reads and close the connection. Idempotent."""
        for stop in self._stops:
            stop.set()
        await self._reader.close()
