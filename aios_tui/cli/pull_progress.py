"""How far a pull is, told as it goes: bars on a terminal, lines of narration, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from aios_tui.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from engine.cores.model_management import PullProgress

TaskReport = Callable[["PullProgress"], None]

MOST_BARS = 12
LINE_EVERY_S = 5.0
"""Between two lines of the same step of a pull, where no terminal shows a bar."""


@contextmanager
def telling(core: str, model: str, out: Output, *, as_json: bool) -> Iterator[TaskReport]:
    """What to call with each step of a pull: a bar on stderr, when that is a terminal and nobody reads JSON."""
    if as_json:
        yield _json_lines(core, model, out)
    elif sys.stderr is None or not sys.stderr.isatty():
        yield _lines(out)
    else:
        with _bar() as bar:
            yield _bar_of(bar)


def _lines(out: Output) -> TaskReport:
    """A line of narration for each step, and for a long one every few seconds."""
    status, said_at = "", 0.0

    def report(step: PullProgress) -> None:
        nonlocal status, said_at
        from aios_tui.formatting.models import progress_text

        now = time.monotonic()
        if step.status != status or now - said_at >= LINE_EVERY_S:
            status, said_at = step.status, now
            out.say(progress_text(step))

    return report


def _json_lines(core: str, model: str, out: Output) -> TaskReport:
    """A line of data for each record that says something new."""
    last: PullProgress | None = None

    def report(step: PullProgress) -> None:
        nonlocal last
        if step != last:
            last = step
            out.line(json.dumps({"core": core, "model": model, **asdict(step)}, ensure_ascii=False))

    return report


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
    )


def _bar_of(bar: Progress) -> TaskReport:
    """A bar for each layer; a step without a size is a line above them."""
    tasks: dict[str, TaskID] = {}
    last = ""

    def report(step: PullProgress) -> None:
        nonlocal last
        fresh, last = step.status != last, step.status
        if not step.total and step.status not in tasks:
            if fresh:
                bar.console.print(step.status, markup=False, highlight=False)
            return
        if step.status not in tasks:
            if len(tasks) >= MOST_BARS:  # a server that makes up steps without end gets no endless screen
                bar.remove_task(tasks.pop(next(iter(tasks))))
            tasks[step.status] = bar.add_task(step.status, total=step.total)
        bar.update(tasks[step.status], completed=step.done)

    return report
