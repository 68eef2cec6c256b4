"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def stderr_is_terminal() -> bool:
    """Return True when a progress bar can be drawn."""
    return sys.stderr is not None and sys.stderr.isatty()


def counting_bar(label: str, *, total: int | None, width: int | None = 40, with_text: bool = False) -> Progress | None:
    """Create a bar that counts to `total` and vanishes when it stops. None when stderr is no terminal.

    It has one task; `with_text` shows that task's description after the bar.
    """
    if not stderr_is_terminal():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    text = [TextColumn("{task.description}", markup=False)] if with_text else []
    bar = Progress(
        TextColumn(label, markup=False),
        BarColumn(bar_width=width),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *text,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("", total=total)
    return bar
