"""The progress of a pull: bars on a terminal, messages, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from aios_tui.cli.output import are_terminals, print_json, print_note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from engine.cores.model_management import PullProgress

Report = Callable[["PullProgress"], None]

MOST_BARS = 12
LINE_EVERY_S = 5.0
"""Seconds between two messages on the same step of a pull."""


@contextmanager
def pull_progress(core: str, model: str, *, as_json: bool) -> Iterator[Report]:
    """Provide a function to call with each step of a pull.

    It prints a JSON line for each step that differs from the one before, or draws bars on a terminal, or prints a
    message for each step, and for a long one every few seconds.
    """
    if not as_json and are_terminals(sys.stderr):
        with _new_bars() as bars:
            yield _draw_bars(bars)
        return
    from aios_tui.formatting.models import progress_text

    last: PullProgress | None = None
    printed_at = 0.0

    def report(step: PullProgress) -> None:
        nonlocal last, printed_at
        now = time.monotonic()
        if as_json:
            if step != last:
                print_json({"core": core, "model": model, **asdict(step)})
        elif last is None or step.status != last.status or now - printed_at >= LINE_EVERY_S:
            printed_at = now
            print_note(progress_text(step))
        last = step

    yield report


def _new_bars() -> Progress:
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


def _draw_bars(bars: Progress) -> Report:
    """Draw a bar for each layer; a step without a size is a line above them."""
    tasks: dict[str, TaskID] = {}
    last = ""

    def report(step: PullProgress) -> None:
        nonlocal last
        fresh, last = step.status != last, step.status
        if not step.total and step.status not in tasks:
            if fresh:
                bars.console.print(step.status, markup=False, highlight=False)
            return
        if step.status not in tasks:
            if len(tasks) >= MOST_BARS:  # a server may invent steps without end
                bars.remove_task(tasks.pop(next(iter(tasks))))
            tasks[step.status] = bars.add_task(step.status, total=step.total)
        bars.update(tasks[step.status], completed=step.done)

    return report
