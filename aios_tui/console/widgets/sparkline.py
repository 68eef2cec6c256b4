"""A strip of bars in one line: a rate over the last minutes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from aios_tui.console.widgets.styled_lines import Span
from engine.telemetry.windows import BUCKET_S

BARS = "▁▂▃▄▅▆▇█"
LEAST = 10
"""Least useful number of cells."""


def strip(values: Sequence[float], width: int, now: float) -> list[Span]:
    """Return all values as bars in at most `width` cells, scaled to the highest; nothing when there is no room.

    A cell for several values shows their mean. Cells begin at multiples of their length in time, so
    that a bar keeps its height while it moves to the left.
    """
    if width < LEAST or not values:
        return []
    each = -(-len(values) // width)
    last = int(now // BUCKET_S)
    numbers = range(last - len(values) + 1, last + 1)
    groups = [
        [value for _, value in found]
        for _, found in groupby(zip(numbers, values, strict=True), key=lambda one: one[0] // each)
    ]
    means = [sum(group) / len(group) for group in groups][-width:]
    top = max(means)
    bars = [BARS[max(0, round(mean / top * 8) - 1)] if mean > 0 else "" for mean in means]
    return [
        ("".join(run) if some else "▁" * len(run), "bar" if some else "off")
        for some, run in ((some, list(run)) for some, run in groupby(bars, key=bool))
    ]
