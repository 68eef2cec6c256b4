"""Data on stdout, narration on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

from engine.errors import UsageError
from engine.sanitise import one_line, sanitise

if TYPE_CHECKING:
    from engine.task import TaskRecord

FIRST = [
    "id",
    "agent",
    "agent_name",
    "prompt",
    "priority",
    "state",
    "result",
    "rounds",
    "core",
    "model",
    "submitted_at",
    "started_at",
    "ended_at",
    "waiting_s",
    "turnaround_s",
    "ttft_s",
    "tokens_in",
    "tokens_out",
    "error",
    "dispatch_order",
]
"""The fields of a task's JSON line that scripts may count on, in this order; further ones follow."""


def task_line(record: TaskRecord) -> str:
    """One task as a JSON line."""
    values: dict[str, Any] = record.model_dump(mode="json")
    return json.dumps({key: values[key] for key in FIRST} | values, ensure_ascii=False)


class OutputLost(Exception):
    """Our stdout takes nothing more: there is nobody to go on for.

    Attributes:
        why: what writing raised.
        gone: whoever read it has closed it, which is no error; otherwise the disk is full, or the like.
    """

    def __init__(self, why: OSError) -> None:
        super().__init__(str(why))
        self.why = why
        self.gone = isinstance(why, BrokenPipeError)


def has_terminal() -> bool:
    """Whether a person sits at all ends: stdin, stdout and stderr, which the console draws on, are a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def standard_input() -> BinaryIO:
    """Our stdin, as bytes. Raises UsageError when there is none."""
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    return sys.stdin.buffer


class Output:
    """Writes lines, flushed one by one, sanitised, UTF-8 whatever the locale says."""

    def line(self, text: str = "") -> None:
        """A line, or several, of data. Raises OutputLost when it can't be written any more."""
        if sys.stdout is None:
            return
        data = f"{sanitise(text)}\n"
        buffer = getattr(sys.stdout, "buffer", None)
        try:
            if buffer is None:
                sys.stdout.write(data)
            else:
                buffer.write(data.encode("utf-8", "replace"))
            sys.stdout.flush()
        except OSError as error:
            raise OutputLost(error) from None

    def plot(self, text: str) -> None:
        """Lines of our own drawing, with their colours, for a terminal. Raises OutputLost."""
        try:
            print(text, flush=True)  # noqa: T201
        except OSError as error:
            raise OutputLost(error) from None

    def task(self, record: TaskRecord) -> None:
        self.line(task_line(record))

    def say(self, text: str) -> None:
        """A line of narration. A stderr that has gone is no reason to stop."""
        try:
            print(one_line(text, 1000), file=sys.stderr, flush=True)  # noqa: T201
        except (OSError, ValueError):
            return


def duration(seconds: float | None) -> str:
    """Seconds for people: `0.31 s`, `12.4 s`, `3:12`, `1:02:05`; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{max(0.0, seconds):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
