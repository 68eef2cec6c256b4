"""A stored run as a line of a list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from aios_tui.console.widgets.comparison_plots import colour_of
from aios_tui.reporting.comparison import LETTERS
from aios_tui.reporting.run_store import StoredRun, plain_name
from engine.sanitise import one_line
from engine.wording import plural


def run_text(run: StoredRun, marked: Sequence[int]) -> Content:
    """Return a run's line: its letter if it is marked, policy, kind, workload, time and note."""
    index = marked.index(run.id) if run.id in marked else None
    letter = Content("  ") if index is None else Content.styled(f"{LETTERS[index]} ", f"bold {colour_of(index)}")
    when = datetime.fromtimestamp(run.at).astimezone()
    return Content.assemble(
        letter,
        (f"{run.policy:<15} ", "" if index is None else "bold"),
        f"{run.kind:<8}",
        plain_name(run.workload),
        (f"  {plural(run.tasks, 'task')}", "$muted"),
        ("" if run.complete else "  stopped", "$warning"),
        (f"  {when:%Y-%m-%d %H:%M:%S}", "$muted"),
        (f"  {one_line(run.note, 120)}", "$muted"),
    )
