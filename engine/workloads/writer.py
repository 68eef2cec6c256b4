"""Write workload files: a header, items one by one, and an end record that proves the file complete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from engine.errors import UsageError
from engine.workloads.compression import create
from engine.workloads.format import MAX_LINE_BYTES, EndRow, Item, TaskRow, WorkloadHeader, encode


class WorkloadWriter:
    """Writes the header to an open binary file at once, items with `write`, and the end record with `finish`.

    Without `finish` the file is still a valid workload; a recorder that crashes loses only the proof.
    """

    def __init__(self, out: IO[bytes], header: WorkloadHeader) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.tasks = 0
        self._line(encode(header))

    def write(self, item: Item) -> None:
        """Append one task or control. Raises UsageError when its line is too long to be read again."""
        self._line(encode(item))
        self.tasks += isinstance(item, TaskRow)

    def finish(self) -> None:
        """Append the end record. The caller closes the file."""
        self._out.write(encode(EndRow(tasks=self.tasks, sha256=self._hash.hexdigest())))

    def _line(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise UsageError(f"a line of {len(line):,} bytes: a workload's lines have at most {MAX_LINE_BYTES:,}")
        self._hash.update(line)
        self._out.write(line)


def save(path: Path, header: WorkloadHeader, items: Iterable[Item]) -> int:
    """Write a whole file, compressed by its name (.gz, .zst), in one step. Returns the number of tasks.

    Raises:
        UsageError: it can't be written, or `items` raises one.
    """
    with create(path) as out:
        writer = WorkloadWriter(out, header)
        for item in items:
            writer.write(item)
        writer.finish()
    return writer.tasks
