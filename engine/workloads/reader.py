"""Read workload files line by line, so that millions of lines need no memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import ValidationError

from engine.errors import UsageError
from engine.validation import reason
from engine.workloads.compression import open_lines
from engine.workloads.format import MAX_LINE_BYTES, EndRow, Item, TaskRow, WorkloadHeader, line_adapter


class WorkloadReader:
    """An open workload file: its header, then its tasks and controls in file order.

        with WorkloadReader(path) as reader:
            for item in reader: ...

    Every error is a UsageError that names file, line and reason. A file without an end record is read;
    `complete` is True once a valid end record was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = WorkloadHeader()
        self.complete = False
        self.line = 0
        self.tasks = 0
        self._stack = ExitStack()
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._file = stack.enter_context(open_lines(self.path))
            first = self._next()
            if first is None:
                raise UsageError(f"{self.path}: is empty, not a workload")
            if not isinstance(first, WorkloadHeader):
                raise self._refused('a workload file starts with its header, kind "workload"')
            self.header = first
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Item]:
        while (record := self._next()) is not None:
            if isinstance(record, WorkloadHeader):
                raise self._refused("a second header")
            if isinstance(record, EndRow):
                self._finish(record)
                return
            if isinstance(record, TaskRow):
                self.tasks += 1
                if record.id is None:
                    record = record.model_copy(update={"id": f"t{self.tasks}"})
            yield record

    def _next(self) -> WorkloadHeader | TaskRow | EndRow | Item | None:
        """Return the next record, None at the end; blank lines are skipped."""
        assert self._file is not None, "open it first"  # noqa: S101
        while line := self._file.readline(MAX_LINE_BYTES + 1):
            self.line += 1
            if len(line) > MAX_LINE_BYTES:
                raise self._refused(f"longer than {MAX_LINE_BYTES:,} bytes")
            if not line.strip():
                self._hash.update(line)
                continue
            try:
                record = line_adapter.validate_json(line)
            except ValidationError as error:
                raise self._refused(_reason(error)) from None
            if not isinstance(record, EndRow):
                self._hash.update(line)
            return record
        return None

    def _finish(self, end: EndRow) -> None:
        if end.tasks != self.tasks:
            raise self._refused(f"the end record counts {end.tasks} tasks, but there are {self.tasks}")
        if end.sha256 != self._hash.hexdigest():
            raise self._refused("the checksum of the end record does not match: the lines before it were changed")
        assert self._file is not None  # noqa: S101
        while rest := self._file.readline(MAX_LINE_BYTES):
            self.line += 1
            if rest.strip():
                raise self._refused("there are lines after the end record")
        self.complete = True

    def _refused(self, reason: str) -> UsageError:
        return UsageError(f"{self.path}, line {self.line}: {reason}")


def _reason(error: ValidationError) -> str:
    """Word pydantic's error for the file: name the known kinds, hide the union's members."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"not JSON: {first.get('ctx', {}).get('error', 'malformed')}"
    if first["type"] in ("model_type", "model_attributes_type", "dict_type", "union_tag_not_found"):
        return "not an object with a kind: workload, task, control or end"
    if first["type"] == "union_tag_invalid":
        return f"unknown kind {str(first.get('ctx', {}).get('tag'))[:80]!r}: workload, task, control or end"
    if first["loc"] == ("workload", "version"):
        return f"version {str(first['input'])[:20]} is unknown; this program reads version 1"
    return reason(error, skip=1)


@dataclass(frozen=True, slots=True)
class Workload:
    """A whole workload in memory: items by time, then in file order."""

    header: WorkloadHeader
    items: tuple[Item, ...]
    name: str = ""

    @property
    def tasks(self) -> list[TaskRow]:
        return [item for item in self.items if isinstance(item, TaskRow)]


def load(path: Path) -> Workload:
    """Read a whole file, for replays.

    Raises:
        UsageError: any line is invalid; see WorkloadReader.
    """
    with WorkloadReader(path) as reader:
        items = sorted(reader, key=lambda item: item.at)
        return Workload(reader.header, tuple(items), path.name)


def in_order(reader: WorkloadReader) -> Iterator[Item]:
    """Yield the reader's items, which must be in order of time.

    Raises:
        UsageError: they are not; it names the line.
    """
    last = 0.0
    for item in reader:
        if item.at < last:
            raise UsageError(
                f"{reader.path}, line {reader.line}: at {item.at:g} comes after {last:g}: not in order of time"
            )
        last = item.at
        yield item
