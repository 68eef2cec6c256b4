"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from aios_tui.cli.output import are_terminals

if TYPE_CHECKING:
    from rich.progress import Progress


def counting_bar(label: str, *, total: int | None, width: int | None = 40, with_text: bool = False) -> Progress | None:
    """Create a bar that counts to `total` and vanishes when it stops. None when stderr is no terminal.

    It has one task; `with_text` shows that task's description after the bar.
    """
    if not are_terminals(sys.stderr):
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
