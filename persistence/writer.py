"""The one writer of a history: writes all pending records in one transaction, then resolves their waiters.

Guarantees:

* Records are written in the order in which they were given, and `commit` returns only when its records are durable.
* No record is lost while the process lives. What can't be written stays at the head of the queue and is tried again;
  the exception are submissions, whose caller waits and can report the failure to the user.
* One bad record harms only itself. A record that the database refuses is logged and dropped; all others are written.

Group commit: a durable transaction costs one sync of the disk (milliseconds), however many records it has. So while one
transaction is being made durable, new records queue up, and all of them form the next transaction. An idle system
commits at once, a busy one in batches that grow with the load, with no timer and no batch size to tune. A fixed delay
would add latency when idle, one transaction per task would limit throughput to the disk's syncs per second.

The queue is a deque of entries, one per call; an entry's records are never divided between transactions, because
tasks submitted together are accepted or refused together.

Failures are of two kinds. If one of `_RECORD_ERRORS` is raised, a record is at fault: the batch is written again, each
record in a savepoint, and those that fail are dropped. (Using savepoints always would add two statements per record to
every commit.) Anything else is the disk's fault: the batch goes back to the head of the queue, submissions in it fail,
and the writer retries when something is committed, and after a pause that doubles from FIRST_BACKOFF_S to
LAST_BACKOFF_S.

Before each commit the writer checks that the file at the path is still the one it opened: writes to an unlinked file
succeed, and would be lost with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StoreError
from engine.sanitise import one_line
from engine.wording import plural
from persistence import errors
from persistence.connection import ThreadedConnection, transaction
from persistence.files import SameFile
from persistence.statements import Record, Refused, RunEnded, all_acceptances, describe, write

_LOG = logging.getLogger(__name__)

MAX_BATCH = 10_000  # records in one transaction; one call's own records are never divided
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 5.0

# Errors for which one record is at fault. All others are the disk's fault, and lead to another try.
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
    """The records of one call. `droppable`: they are submissions, so they may fail: the caller waits for the answer."""

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
    """Writes records with group commit; see the module's docstring."""

    def __init__(
        self, connection: ThreadedConnection, *, path: Path, run: int, on_error: Callable[[str | None], None]
    ) -> None:
        """`on_error` gets one line when writing fails, and None when it works again."""
        self._connection = connection
        self._path = path
        self._run = run
        self._on_error = on_error
        self._same_file = SameFile(path)
        self._pending: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._error: str | None = None
        self._reported = False
        self._backoff_s = FIRST_BACKOFF_S
        self._closing = False
        self._ended = False
        self._task = asyncio.create_task(self._run_loop(), name="history writer")

    @property
    def unwritten(self) -> int:
        """Number of records that wait to be written, not counting the end of the run."""
        return sum(not isinstance(record, RunEnded) for entry in self._pending for record in entry.records)

    def append(self, record: Record) -> None:
        """Write `record` soon. After a failure this does not cause another try by itself."""
        if self._ended:
            _LOG.error("history %s is closed; lost: %s", self._path, describe(record))
            return
        if self._error is None or not self._pending:
            self._wake.set()
        self._pending.append(_Entry((record,)))

    async def commit(self, records: Sequence[Record]) -> None:
        """Write `records` in one transaction, and return when they are durable. Raises StoreError."""
        if self._ended or self._closing:
            raise StoreError(f"history {self._path} is closed")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_Entry(records, waiter, all_acceptances(records)))
        self._wake.set()
        await waiter

    async def finish(self) -> None:
        """Write all pending records and end. Raises StoreError if records are left after one more try."""
        self._closing = True
        self._wake.set()
        await asyncio.shield(self._task)
        if left := self.unwritten:
            lost = f"{plural(left, 'record')} {'is' if left == 1 else 'are'} lost"
            raise StoreError(f"{self._error or f'history {self._path} was closed'}; {lost}")

    async def _run_loop(self) -> None:
        try:
            while self._pending or not self._closing:
                if not self._closing and (self._error is not None or not self._pending):
                    await self._pause()
                batch = self._next_batch()
                if batch and not await self._write(batch, last_try=self._closing):
                    return
        finally:
            self._ended = True
            for entry in self._pending:
                entry.resolve(StoreError(self._error or f"history {self._path} is closed"))

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff_s if self._error is not None and self._pending else None):
                await self._wake.wait()
        self._wake.clear()

    def _next_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size = 0
        while self._pending and size < MAX_BATCH:
            entry = self._pending.popleft()
            if entry.droppable and entry.waiter is not None and entry.waiter.cancelled():
                continue  # its caller is gone, so nobody would know of the task
            batch.append(entry)
            size += len(entry.records)
        return batch

    async def _write(self, batch: list[_Entry], *, last_try: bool) -> bool:
        """Write the batch. Returns False if that failed and no other try follows."""
        try:
            refusals = await self._connection.run(lambda raw: self._transaction(raw, batch))
        except asyncio.CancelledError:
            self._pending.extendleft(reversed(batch))
            raise
        except (sqlite3.Error, OSError) as error:
            return self._failed(batch, error) or not last_try
        except Exception as error:  # noqa: BLE001  (reported and logged; the writer must survive it)
            _LOG.exception("history %s: the writer failed", self._path)
            return self._failed(batch, error) or not last_try
        self._succeeded(batch, refusals)
        return True

    def _succeeded(self, batch: list[_Entry], refusals: list[_Refusal]) -> None:
        self._error, self._backoff_s = None, FIRST_BACKOFF_S
        if self._reported:
            self._report(None)
        for refusal in refusals:
            line = f"history {self._path} refused {describe(refusal.record)}: {refusal.reason}"
            _LOG.error("internal error: %s", line)
            if refusal.entry.droppable:
                refusal.entry.resolve(StoreError(line))
            else:
                self._report(line)
        if self._reported:  # a record was at fault, not the disk: dispatching need not wait
            self._report(None)
        for entry in batch:
            entry.resolve()

    def _failed(self, batch: list[_Entry], error: Exception) -> bool:
        """Put `batch` back into the queue. Returns True if submissions were dropped, so another try may succeed."""
        line = errors.line(self._path, "can't be written", error)
        if line != self._error:
            _LOG.error("%s", line)
            self._error = line
            self._report(line)
        else:
            self._backoff_s = min(self._backoff_s * 2, LAST_BACKOFF_S)
        self._pending.extendleft(reversed(batch))
        dropped = [entry for entry in self._pending if entry.droppable]
        if dropped:
            self._pending = deque(entry for entry in self._pending if not entry.droppable)
            for entry in dropped:
                entry.resolve(StoreError(f"{line}; the task was not accepted"))
        return bool(dropped)

    def _report(self, line: str | None) -> None:
        self._reported = line is not None
        try:
            self._on_error(line)
        except Exception:  # noqa: BLE001  (logged; a failing listener must not stop the writer)
            _LOG.exception("a listener for write errors failed")

    # On the connection's thread.

    def _transaction(self, connection: sqlite3.Connection, batch: list[_Entry]) -> list[_Refusal]:
        self._same_file.check()
        try:
            with transaction(connection):
                write(connection, (record for entry in batch for record in entry.records), self._run)
                self._same_file.check()
            return []
        except _RECORD_ERRORS as error:
            _LOG.warning("history %s: writing a batch of %d one by one: %s", self._path, len(batch), error)
        with transaction(connection):
            refusals = [refusal for entry in batch for refusal in self._one_by_one(connection, entry)]
            self._same_file.check()
        return refusals

    def _one_by_one(self, connection: sqlite3.Connection, entry: _Entry) -> list[_Refusal]:
        """Write the valid records of `entry`. Submissions given together are stored or refused together."""
        refusals = []
        for records in [entry.records] if entry.droppable else [(record,) for record in entry.records]:
            connection.execute("SAVEPOINT entry")
            try:
                write(connection, records, self._run, coerce=True)
            except _RECORD_ERRORS as error:
                connection.execute("ROLLBACK TO entry")
                refusals.append(_Refusal(entry, records[0], one_line(f"{type(error).__name__}: {error}")))
            connection.execute("RELEASE entry")
        return refusals
