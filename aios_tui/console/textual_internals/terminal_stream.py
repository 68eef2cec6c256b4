"""A terminal that may change its size, or go away, while the console draws on it.

Both functions work around undocumented behaviour of Textual's driver: it takes `sys.__stderr__` when it starts, writes
in a thread that no public API reaches, and reads the terminal's size in a signal handler.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from textual.events import Resize
from textual.geometry import Size


class HangupSafeStream:
    """Wraps a terminal's stream: once the terminal is gone, writes go to the null device instead of raising.

    Textual writes in a thread of its own behind a bounded queue. An error ends that thread, and the next thirty writes
    then block the program for good: a closed terminal window would leave the console, its tasks and its lock behind.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._redirect_to_null()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._redirect_to_null()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _redirect_to_null(self) -> None:
        """Point the file descriptor at the null device, so that what is still buffered can be written."""
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, self._stream.fileno())
        finally:
            os.close(null)


@contextmanager
def writes_survive_hangup() -> Iterator[None]:
    """Make Textual draw through a HangupSafeStream."""
    before = sys.__stderr__
    if before is not None:
        sys.__dict__["__stderr__"] = HangupSafeStream(before)
    try:
        yield
    finally:
        sys.__dict__["__stderr__"] = before


def with_current_size(event: Resize) -> Resize:
    """Return the event with the size that the terminal has now.

    The next signal can interrupt the handler that reads the size: of two quick changes, the older size may then arrive
    last, and the console would keep it.
    """
    size = Size(*shutil.get_terminal_size(fallback=event.size))
    return event if size == event.size else Resize(size, size)
