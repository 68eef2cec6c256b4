"""The stored runs, and the table of a comparison, as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from aios_tui.console.widgets.cells import cell_len, fit, plain
from aios_tui.console.widgets.comparison_plots import colour_of
from aios_tui.reporting.comparison import LETTERS, MeasuredRun
from aios_tui.reporting.run_store import StoredRun, plain_name
from aios_tui.reporting.table import Line
from engine.sanitise import one_line
from engine.wording import plural

LABEL = 18
WIDTH = 9
PARTS = ("waiting mean s", "turnaround mean s", "slowdown mean", "TTFT mean s")
"""Rows that have an empty line before them."""
SPLIT = "waiting mean s, "
"""Prefix of the rows by priority and by client."""


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


def drawn_table(runs: Sequence[MeasuredRun], rows: Sequence[Line]) -> Content:
    """Return the table with the better value of each row marked."""
    if not runs:
        return Content.styled("Nothing is marked.", "$muted")
    width = max(WIDTH, *(cell_len(value) for row in rows for value in row.cells))
    lines = [_titles(runs, width)]
    split = False
    for row in rows:
        if row.label.startswith(SPLIT) and not split:
            split = True
            lines += [Content(""), Content.styled("waiting mean s, by", "$muted")]
        elif row.label in PARTS:
            lines.append(Content(""))
        lines.append(_line(row, width))
    if len(runs) > 1:
        lines += [Content(""), Content.styled("✓ the better value", "$muted")]
    return Content("\n").join(lines)


def short_policy(name: str) -> str:
    """Shorten a policy's name: `npps:60` for `npps:ageing=60`."""
    return one_line(name.replace("ageing=", ""), 40)


def _titles(runs: Sequence[MeasuredRun], width: int) -> Content:
    cells = [Content(" " * LABEL)]
    for place, run in enumerate(runs):
        title = f"{LETTERS[place]} {fit(short_policy(run.kept.policy), width - 2).rstrip()}"
        cells.append(Content.styled(f"{title.rjust(width)}  ", f"bold {colour_of(place)}"))
    return Content("").join(cells)


def _line(row: Line, width: int) -> Content:
    label = row.label.removeprefix(SPLIT)
    if label != row.label:
        label = f"  {label}"
    parts = [Content.styled(fit(plain(label), LABEL), "$muted")]
    for place, value in enumerate(row.cells):
        best = place in row.best
        parts.append(Content.styled(value.rjust(width), "bold $success" if best else ""))
        parts.append(Content.styled(" ✓" if best else "  ", "$success"))
    return Content("").join(parts)
