"""Data on stdout, narration on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from engine.text import one_line, sanitise

if TYPE_CHECKING:
    from engine.model import TaskRecord

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


class ReaderGone(Exception):
    """Whoever read our stdout has closed it: there is nobody to go on for."""


class Output:
    """Writes lines, flushed one by one, sanitised, UTF-8 whatever the locale says."""

    def line(self, text: str = "") -> None:
        """A line, or several, of data. Raises ReaderGone when nobody reads it any more."""
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
        except BrokenPipeError:
            raise ReaderGone from None

    def plot(self, text: str) -> None:
        """Lines of our own drawing, with their colours, for a terminal. Raises ReaderGone."""
        try:
            print(text, flush=True)  # noqa: T201
        except BrokenPipeError:
            raise ReaderGone from None

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
