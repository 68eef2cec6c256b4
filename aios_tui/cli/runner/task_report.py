"""The report of `run`: results on stdout; a summary and a progress bar on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from aios_tui.cli.output import are_terminals, duration, print_line, print_note, task_json
from aios_tui.cli.progress import counting_bar
from engine.sanitise import one_line
from engine.task import TaskRecord, TaskState
from engine.wording import plural

if TYPE_CHECKING:
    from rich.progress import Progress


class TaskReport(AbstractContextManager["TaskReport"]):
    """Report each task once. A single task's result is printed bare, several get a heading line each.

    Attributes:
        bad: number of tasks that failed or were cancelled.
    """

    def __init__(self, *, total: int, as_json: bool) -> None:
        self._total = total
        self._as_json = as_json
        self._counts = dict.fromkeys((TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED), 0)
        self._started = self._ended = time.monotonic()
        self._bar: Progress | None = None

    @property
    def bad(self) -> int:
        return self._counts[TaskState.FAILED] + self._counts[TaskState.CANCELLED]

    def __enter__(self) -> TaskReport:
        self._bar = counting_bar("tasks", total=self._total) if self._total else None
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, text: str) -> None:
        """Print a message to stderr, above the bar."""
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(one_line(text, 1000)))
        else:
            print_note(text)

    def add(self, record: TaskRecord) -> None:
        """Print the result of a task that has ended, and count it."""
        self._counts[record.state] += 1
        self._ended = time.monotonic()  # what follows, such as sending telemetry, is not part of the run
        shared = self._bar if are_terminals(sys.stdout) else None
        if shared is not None:
            shared.stop()  # stdout and the bar share a terminal: clear the line
        if self._as_json:
            print_line(task_json(record))
        else:
            self._print_result(record)
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
        if shared is not None:
            shared.start()

    def _print_result(self, record: TaskRecord) -> None:
        if self._total > 1:
            print_line(format_heading(record))
        if record.state is TaskState.DONE:
            print_line((record.result or "").strip())
        else:
            self.note(f"task {record.id} {record.state}: {record.error or 'no reason given'}")
        if self._total > 1:
            print_line()

    def finish(self) -> None:
        """Remove the bar, and print the counts and the time."""
        self.__exit__()
        if self._total:
            self.note(f"{self._format_counts()} in {duration(self._ended - self._started)}")

    def finish_interrupted(self, left: int, reason: str = "interrupted") -> None:
        """Remove the bar, and print the counts; `left` tasks stay queued."""
        self.__exit__()
        stay = "stays" if left == 1 else "stay"
        rest = f", {left} {stay} queued; resume with `aios-tui run --resume`" if left else ""
        self.note(f"{reason}: {self._format_counts()}{rest}")

    def _format_counts(self) -> str:
        return ", ".join(
            f"{count} {state}" for state, count in self._counts.items() if count or state is TaskState.DONE
        )


def format_heading(record: TaskRecord) -> str:
    """Format a task's agent, state, times, speed and model as one line."""
    parts = [f"#{record.id}", record.agent, str(record.state)]
    if record.rounds:
        parts.append(plural(record.rounds, "round"))
    if record.took_s is not None:
        parts.append(f"waited {duration(record.waiting_s)}, took {duration(record.took_s)}")
    if record.tokens_per_s is not None:
        parts.append(f"{record.tokens_per_s:.0f} tok/s")
    if record.model:
        parts.append(f"{record.model} on {record.core}")
    return " · ".join(parts)
