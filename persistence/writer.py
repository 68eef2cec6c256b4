"""The one writer of a history: takes all that waits, writes it in one transaction, then tells those who wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StoreError
from engine.sanitise import one_line
from persistence import errors
from persistence.connection import ThreadedConnection
from persistence.files import SameFile
from persistence.statements import Record, Refused, RunEnded, all_acceptances, describe, write

_LOG = logging.getLogger(__name__)

MAX_BATCH = 10_000  # records in one transaction; one call's own records are never divided
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 5.0

# What one record can be at fault for. Everything else is the disk's, and is tried again.
_RECORD_ERRORS = (
    Refused,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)


@dataclass(slots=True, eq=False)
class _Entry:
    """What one call gave. `droppable`: only submissions, whose caller waits and may be told no."""

    records: Sequence[Record]
    waiter: asyncio.Future[None] | None = None
    droppable: bool = False

    def resolve(self, error: StoreError | None = None) -> None:
        if self.waiter is None or self.waiter.done():
            return
        if error is None:
            self.waiter.set_result(None)
        else:
            self.waiter.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Refusal:
    entry: _Entry
    record: Record
    reason: str


class Writer:
    """Natural group commit: while one transaction is being made durable, what comes waits, and is the next one.

    A batch that fails is rolled back whole. Submissions in it fail; the rest stays at the head of the queue, in order,
    and is tried again when something is committed and after a growing pause.
    """

    def __init__(
        self, connection: ThreadedConnection, *, path: Path, run: int, told: Callable[[str | None], None]
    ) -> None:
        self._connection = connection
        self._path = path
        self._run = run
        self._told = told
        self._same_file = SameFile(path)
        self._pending: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._trouble: str | None = None
        self._complained = False
        self._backoff_s = FIRST_BACKOFF_S
        self._closing = False
        self._ended = False
        self._task = asyncio.create_task(self._work(), name="history writer")

    @property
    def unwritten(self) -> int:
        """Records given that wait to be written; the one that the run is over does not count."""
        return sum(not isinstance(record, RunEnded) for entry in self._pending for record in entry.records)

    def append(self, record: Record) -> None:
        """Have `record` written. While the disk is in trouble this does not provoke another try."""
        if self._ended:
            _LOG.error("history %s is closed; lost: %s", self._path, describe(record))
            return
        if self._trouble is None or not self._pending:
            self._wake.set()
        self._pending.append(_Entry((record,)))

    async def commit(self, records: Sequence[Record]) -> None:
        """Have `records` written in one transaction, and return when they are durable. Raises StoreError."""
        if self._ended or self._closing:
            raise StoreError(f"history {self._path} is closed")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_Entry(records, waiter, all_acceptances(records)))
        self._wake.set()
        await waiter

    async def finish(self) -> None:
        """Write what waits and end. Raises StoreError when, after one more try, records are left unwritten."""
        self._closing = True
        self._wake.set()
        await asyncio.shield(self._task)
        if left := self.unwritten:
            lost = "1 record is lost" if left == 1 else f"{left} records are lost"
            raise StoreError(f"{self._trouble or f'history {self._path} was closed'}; {lost}")

    async def _work(self) -> None:
        try:
            while self._pending or not self._closing:
                if not self._closing and (self._trouble is not None or not self._pending):
                    await self._pause()
                batch = self._take()
                if batch and not await self._write(batch, last_try=self._closing):
                    return
        finally:
            self._ended = True
            for entry in self._pending:
                entry.resolve(StoreError(self._trouble or f"history {self._path} is closed"))

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff_s if self._trouble is not None and self._pending else None):
                await self._wake.wait()
        self._wake.clear()

    def _take(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size = 0
        while self._pending and size < MAX_BATCH:
            entry = self._pending.popleft()
            if entry.droppable and entry.waiter is not None and entry.waiter.cancelled():
                continue  # its caller has gone: nobody would know of the task
            batch.append(entry)
            size += len(entry.records)
        return batch

    async def _write(self, batch: list[_Entry], *, last_try: bool) -> bool:
        """Try once. Returns False when it failed and there is to be no other try."""
        try:
            refusals = await self._connection.run(lambda raw: self._transaction(raw, batch))
        except asyncio.CancelledError:
            self._pending.extendleft(reversed(batch))
            raise
        except (sqlite3.Error, OSError) as error:
            return self._failed(batch, error) or not last_try
        except Exception as error:  # noqa: BLE001  (the writer goes on whatever happens; told and logged)
            _LOG.exception("history %s: the writer failed", self._path)
            return self._failed(batch, error) or not last_try
        self._succeeded(batch, refusals)
        return True

    def _succeeded(self, batch: list[_Entry], refusals: list[_Refusal]) -> None:
        self._trouble, self._backoff_s = None, FIRST_BACKOFF_S
        if self._complained:
            self._tell(None)
        for refusal in refusals:
            line = f"history {self._path} refused {describe(refusal.record)}: {refusal.reason}"
            _LOG.error("internal error: %s", line)
            if refusal.entry.droppable:
                refusal.entry.resolve(StoreError(line))
            else:
                self._tell(line)
        if self._complained:  # a record was at fault and not the disk: nothing has to wait for that
            self._tell(None)
        for entry in batch:
            entry.resolve()

    def _failed(self, batch: list[_Entry], error: Exception) -> bool:
        """Put `batch` back. Returns True when submissions were dropped from it, so that another try may do better."""
        line = errors.line(self._path, "can't be written", error)
        if line != self._trouble:
            _LOG.error("%s", line)
            self._trouble = line
            self._tell(line)
        else:
            self._backoff_s = min(self._backoff_s * 2, LAST_BACKOFF_S)
        self._pending.extendleft(reversed(batch))
        dropped = [entry for entry in self._pending if entry.droppable]
        if dropped:
            self._pending = deque(entry for entry in self._pending if not entry.droppable)
            for entry in dropped:
                entry.resolve(StoreError(f"{line}; the task was not accepted"))
        return bool(dropped)

    def _tell(self, line: str | None) -> None:
        self._complained = line is not None
        try:
            self._told(line)
        except Exception:  # noqa: BLE001  (logged; a listener is not the writer's business)
            _LOG.exception("a listener to the history's troubles failed")

    # On the connection's thread.

    def _transaction(self, connection: sqlite3.Connection, batch: list[_Entry]) -> list[_Refusal]:
        self._same_file.check()
        try:
            with _in_transaction(connection, self._same_file):
                write(connection, (record for entry in batch for record in entry.records), self._run)
            return []
        except _RECORD_ERRORS as error:
            _LOG.warning("history %s: writing a batch of %d one by one: %s", self._path, len(batch), error)
        with _in_transaction(connection, self._same_file):
            return [refusal for entry in batch for refusal in self._one_by_one(connection, entry)]

    def _one_by_one(self, connection: sqlite3.Connection, entry: _Entry) -> list[_Refusal]:
        """Write what can be written of `entry`. Submissions given together are kept or refused together."""
        refusals = []
        for records in [entry.records] if entry.droppable else [(record,) for record in entry.records]:
            connection.execute("SAVEPOINT entry")
            try:
                write(connection, records, self._run, fit=True)
            except _RECORD_ERRORS as error:
                connection.execute("ROLLBACK TO entry")
                refusals.append(_Refusal(entry, records[0], one_line(f"{type(error).__name__}: {error}")))
            connection.execute("RELEASE entry")
        return refusals


@contextlib.contextmanager
def _in_transaction(connection: sqlite3.Connection, same_file: SameFile) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        same_file.check()
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself after some errors
                connection.execute("ROLLBACK")
