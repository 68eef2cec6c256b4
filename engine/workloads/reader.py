"""Reading workload files, line by line: a file of millions of lines is never held in memory."""

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
    """A workload file, open: its header, then its tasks and controls in the order of the file.

        with WorkloadReader(path) as reader:
            for item in reader: ...

    Everything wrong is a UsageError that names file, line and reason. A file whose end record is missing is read;
    `complete` tells, when all is read, whether there was one.
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
        self._file = self._stack.enter_context(open_lines(self.path))
        try:
            self.header = self._first()
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _first(self) -> WorkloadHeader:
        first = self._next()
        if first is None:
            raise UsageError(f"{self.path}: empty, where a workload was expected")
        if not isinstance(first, WorkloadHeader):
            raise self._refused('a workload file starts with its header, kind "workload"')
        return first

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
        """The next record; blank lines are passed over."""
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
                raise self._refused(_plain(error)) from None
            if not isinstance(record, EndRow):
                self._hash.update(line)
            return record
        return None

    def _finish(self, end: EndRow) -> None:
        if end.tasks != self.tasks:
            raise self._refused(f"the end record counts {end.tasks} tasks, but there are {self.tasks}")
        if end.sha256 != self._hash.hexdigest():
            raise self._refused("the checksum of the end record does not fit: the lines before it were changed")
        assert self._file is not None  # noqa: S101
        while rest := self._file.readline(MAX_LINE_BYTES):
            self.line += 1
            if rest.strip():
                raise self._refused("there is more after the end record")
        self.complete = True

    def _refused(self, why: str) -> UsageError:
        return UsageError(f"{self.path}, line {self.line}: {why}")


def _plain(error: ValidationError) -> str:
    """pydantic's finding in the file's own words: which kinds there are, without the union's names."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"not JSON: {first.get('ctx', {}).get('error', 'malformed')}"
    if first["type"] in ("model_type", "model_attributes_type", "dict_type", "union_tag_not_found"):
        return "not an object with a kind: workload, task, control or end"
    if first["type"] == "union_tag_invalid":
        return f"unknown kind {str(first.get('ctx', {}).get('tag'))[:80]!r}: workload, task, control or end"
    if first["loc"] == ("workload", "version"):
        return f"version {str(first['input'])[:20]} is not known here; this program reads version 1"
    return reason(error, skip=1)


@dataclass(frozen=True, slots=True)
class Workload:
    """A whole workload in memory: items by time, those at one time in the order of the file."""

    header: WorkloadHeader
    items: tuple[Item, ...]
    name: str = ""

    @property
    def tasks(self) -> list[TaskRow]:
        return [item for item in self.items if isinstance(item, TaskRow)]


def load(path: Path) -> Workload:
    """Read a whole file. For replays, which need all of it; nothing is returned when any line is refused.

    Raises:
        UsageError: as WorkloadReader does.
    """
    with WorkloadReader(path) as reader:
        items = sorted(reader, key=lambda item: item.at)
        return Workload(reader.header, tuple(items), path.name)


def in_order(reader: WorkloadReader) -> Iterator[Item]:
    """The reader's items, which have to be in order of time already.

    Raises:
        UsageError: they are not; the line is named.
    """
    last = 0.0
    for item in reader:
        if item.at < last:
            raise UsageError(
                f"{reader.path}, line {reader.line}: at {item.at:g} comes after {last:g}: not in order of time"
            )
        last = item.at
        yield item
