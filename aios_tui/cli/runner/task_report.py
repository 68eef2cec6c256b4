"""What `run` tells of its tasks: results on stdout, a count and a progress bar on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from aios_tui.cli.output import Output, duration
from engine.sanitise import one_line
from engine.task import TaskRecord, TaskState

if TYPE_CHECKING:
    from rich.progress import Progress


class TaskReport(AbstractContextManager["TaskReport"]):
    """Tells of each task once. A lone task's result is printed bare, several get a heading line each.

    Attributes:
        bad: how many failed or were cancelled.
    """

    def __init__(self, out: Output, *, total: int, as_json: bool) -> None:
        self._out = out
        self._total = total
        self._as_json = as_json
        self._counts = dict.fromkeys((TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED), 0)
        self._began = self._ended = time.monotonic()
        self._bar: Progress | None = None

    @property
    def bad(self) -> int:
        return self._counts[TaskState.FAILED] + self._counts[TaskState.CANCELLED]

    def __enter__(self) -> TaskReport:
        if self._total and sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("tasks"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bar.add_task("tasks", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """A line of narration, above the bar."""
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(one_line(text, 1000)))
        else:
            self._out.say(text)

    def task(self, record: TaskRecord) -> None:
        """Tell of a task that has ended."""
        self._counts[record.state] += 1
        self._ended = time.monotonic()  # what follows, such as sending telemetry, is not part of the run
        shared = self._bar if sys.stdout is not None and sys.stdout.isatty() else None
        if shared is not None:
            shared.stop()  # stdout and the bar are on one terminal: out of the way
        if self._as_json:
            self._out.task(record)
        else:
            self._for_people(record)
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
        if shared is not None:
            shared.start()

    def _for_people(self, record: TaskRecord) -> None:
        if self._total > 1:
            self._out.line(heading(record))
        if record.state is TaskState.DONE:
            self._out.line((record.result or "").strip())
        else:
            self.say(f"task {record.id} {record.state}: {record.error or 'no reason given'}")
        if self._total > 1:
            self._out.line()

    def end(self) -> None:
        self.__exit__()
        if self._total:
            self.say(f"{self._told()} in {duration(self._ended - self._began)}")

    def interrupted(self, left: int, why: str = "interrupted") -> None:
        """Tell how far it came, and that `left` tasks stay queued."""
        self.__exit__()
        stay = "stays" if left == 1 else "stay"
        rest = f", {left} {stay} queued; go on with `aios-tui run --resume`" if left else ""
        self.say(f"{why}: {self._told()}{rest}")

    def _told(self) -> str:
        return ", ".join(
            f"{count} {state}" for state, count in self._counts.items() if count or state is TaskState.DONE
        )


def heading(record: TaskRecord) -> str:
    """One line about a task, for people."""
    parts = [f"#{record.id}", record.agent, str(record.state)]
    if record.rounds:
        parts.append(f"{record.rounds} round{'' if record.rounds == 1 else 's'}")
    if record.took_s is not None:
        parts.append(f"waited {duration(record.waiting_s)}, took {duration(record.took_s)}")
    if record.tokens_per_s is not None:
        parts.append(f"{record.tokens_per_s:.0f} tok/s")
    if record.model:
        parts.append(f"{record.model} on {record.core}")
    return " · ".join(parts)
