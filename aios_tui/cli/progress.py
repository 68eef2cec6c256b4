"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def stderr_is_terminal() -> bool:
    """Return True when a progress bar can be drawn."""
    return sys.stderr is not None and sys.stderr.isatty()


def counting_bar(label: str, *more: ProgressColumn, width: int = 40) -> Progress | None:
    """Create a bar that counts what has ended, and vanishes at its end. None when stderr is no terminal."""
    if not stderr_is_terminal():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn(label, markup=False),
        BarColumn(bar_width=width),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *more,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
