"""A terminal that may change its size, or go away, while the console draws on it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from textual.events import Resize
from textual.geometry import Size


class LastingStream:
    """Stands for the stream of a terminal: once that is gone, what is written goes nowhere instead of raising.

    Textual writes in a thread of its own behind a bounded queue. An error ends that thread, and the next thirty writes
    then block the program for good: a closed terminal window would leave the console, its tasks and its lock behind.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._let_go()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _let_go(self) -> None:
        """Give the stream another end, so that what it still holds has somewhere to go."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, self._stream.fileno())
        finally:
            os.close(nowhere)


@contextmanager
def lasting_terminal() -> Iterator[None]:
    """Have Textual draw through a LastingStream; its driver takes `sys.__stderr__` when it starts."""
    before = sys.__stderr__
    if before is not None:
        sys.__dict__["__stderr__"] = LastingStream(before)
    try:
        yield
    finally:
        sys.__dict__["__stderr__"] = before


def as_it_is_now(event: Resize) -> Resize:
    """The event with the size that the terminal has now.

    Textual reads the size in a signal handler, which the next signal can interrupt: of two quick changes, the older
    size may then be told last, and the console would stay at it.
    """
    size = Size(*shutil.get_terminal_size(fallback=event.size))
    return event if size == event.size else Resize(size, size)
