"""Numbered text lines of bounded length, for reading foreign formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from engine.errors import UsageError
from engine.workloads.format import MAX_LINE_BYTES


class Lines:
    """Iterate over the lines of an open binary file as text, without line ends; `number` counts them from 1."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.number = 0
        self._file = file

    def __iter__(self) -> Iterator[str]:
        while raw := self._file.readline(MAX_LINE_BYTES + 1):
            self.number += 1
            if len(raw) > MAX_LINE_BYTES:
                raise self.refused(f"longer than {MAX_LINE_BYTES:,} bytes")
            try:
                text = raw.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise self.refused("not UTF-8 text") from None
            yield text.rstrip("\r\n")

    def refused(self, reason: str) -> UsageError:
        """Return the error that refuses the current line."""
        return UsageError(f"{self.path}, line {self.number}: {reason}")
