"""Data goes to stdout, messages for people to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

from engine.errors import UsageError
from engine.sanitise import one_line, sanitise

if TYPE_CHECKING:
    from engine.task import TaskRecord

TASK_FIELDS = [
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
"""The fields of a task's JSON line that scripts may rely on, in this order; further ones follow."""


def task_json(record: TaskRecord | dict[str, Any]) -> str:
    """Format a task as one JSON line, `TASK_FIELDS` first."""
    values: dict[str, Any] = record if isinstance(record, dict) else record.model_dump(mode="json")
    known = {key: values[key] for key in TASK_FIELDS if key in values}
    return json.dumps(known | values, ensure_ascii=False)


class OutputLost(Exception):
    """Standard output takes nothing more.

    Attributes:
        cause: the error that writing raised.
        closed: True if its reader has closed it, which is no error; False for a full disk and the like.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.closed = isinstance(cause, BrokenPipeError)


def are_terminals(*streams: TextIO | None) -> bool:
    """Return True when all of these standard streams, None for a closed one, are a terminal."""
    return all(stream is not None and stream.isatty() for stream in streams)


def has_terminal() -> bool:
    """Return True when stdin, stdout and stderr, which the console draws on, are all a terminal."""
    return are_terminals(sys.stdin, sys.stdout, sys.stderr)


def standard_input() -> BinaryIO:
    """Return stdin as a stream of bytes. Raises UsageError when it is closed."""
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    return sys.stdin.buffer


def print_line(text: str = "") -> None:
    """Print one or more lines of data to stdout, sanitised, in UTF-8 whatever the locale says. Raises OutputLost."""
    _write(sanitise(text).encode("utf-8", "replace"))


def print_json(value: Any) -> None:
    """Print `value` as one JSON line. Raises OutputLost."""
    print_line(json.dumps(value, ensure_ascii=False))


def print_plot(text: str) -> None:
    """Print plots that the program drew itself, with their colours, on a terminal. Raises OutputLost."""
    _write(text)


def _write(text: str | bytes) -> None:
    try:
        click.echo(text)  # flushes
    except OSError as error:
        raise OutputLost(error) from None


def print_note(text: str) -> None:
    """Print a message for people to stderr; one that is closed or full is no reason to stop."""
    with suppress(OSError, ValueError):
        click.echo(one_line(text, 1000), err=True)


def print_error(text: object) -> None:
    """Print an error message to stderr, after the program's name."""
    print_note(f"aios-tui: {text}")


def table_lines(rows: Sequence[Sequence[str]], *, left: int = 1) -> Iterator[str]:
    """Format rows of equal length as aligned columns: the first `left` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def local_time(at: float | None, precision: str = "minutes") -> str:
    """Format Unix seconds in local time, as `2026-11-22 14:00`; a dash for None, the number if it is no time."""
    if at is None:
        return "-"
    try:
        return datetime.fromtimestamp(at).isoformat(" ", precision)
    except (ValueError, OverflowError, OSError):
        return str(at)


def duration(seconds: float | None) -> str:
    """Format seconds for people: `0.31 s`, `12.4 s`, `3:12`, `1:02:05`; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{max(0.0, seconds):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
