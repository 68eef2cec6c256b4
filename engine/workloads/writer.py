"""Writing workload files: a header, items as they come, and an end record that proves the file whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from engine.errors import UsageError
from engine.workloads.compression import create
from engine.workloads.format import MAX_LINE_BYTES, EndRow, Item, TaskRow, WorkloadHeader, encode


class WorkloadWriter:
    """Writes records to an open binary file: the header at once, then `write`, and `finish` at the end.

    Without `finish` the file is a good workload that ends where it ends; a recorder that dies loses only that proof.
    """

    def __init__(self, out: IO[bytes], header: WorkloadHeader) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.tasks = 0
        self._line(encode(header))

    def write(self, item: Item) -> None:
        """Append one task or control. Raises UsageError when its line would be too long to be read again."""
        self._line(encode(item))
        self.tasks += isinstance(item, TaskRow)

    def finish(self) -> None:
        """Append the end record. The file is the caller's to close."""
        self._out.write(encode(EndRow(tasks=self.tasks, sha256=self._hash.hexdigest())))

    def _line(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise UsageError(f"a line of {len(line):,} bytes: a workload's lines have at most {MAX_LINE_BYTES:,}")
        self._hash.update(line)
        self._out.write(line)


def save(path: Path, header: WorkloadHeader, items: Iterable[Item]) -> int:
    """Write a whole file, compressed by its name (.gz, .zst); it appears only when all is well. Returns the tasks.

    Raises:
        UsageError: it can't be written, or `items` raised it.
    """
    with create(path) as out:
        writer = WorkloadWriter(out, header)
        for item in items:
            writer.write(item)
        writer.finish()
    return writer.tasks
