"""A kept run as a line of a list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from aios_tui.console.widgets.comparison_plots import colour_of
from aios_tui.reporting.comparison import LETTERS
from aios_tui.reporting.run_store import StoredRun, plain_name
from engine.sanitise import one_line


def run_words(run: StoredRun, marked: Sequence[int]) -> Content:
    """Its letter when it is marked, policy, kind, workload and how it was made."""
    place = marked.index(run.id) if run.id in marked else None
    letter = Content("  ") if place is None else Content.styled(f"{LETTERS[place]} ", f"bold {colour_of(place)}")
    when = datetime.fromtimestamp(run.at).astimezone()
    return Content.assemble(
        letter,
        (f"{run.policy:<15} ", "" if place is None else "bold"),
        f"{run.kind:<8}",
        plain_name(run.workload),
        (f"  {run.tasks:,} tasks", "$muted"),
        ("" if run.complete else "  stopped", "$warning"),
        (f"  {when:%Y-%m-%d %H:%M:%S}", "$muted"),
        (f"  {one_line(run.note, 120)}", "$muted"),
    )
