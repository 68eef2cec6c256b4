"""A strip of bars: a rate over the last minutes, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from aios_tui.console.widgets.styled_lines import Span
from engine.telemetry.windows import BUCKET_S

BARS = "▁▂▃▄▅▆▇█"
LEAST = 10
"""A strip of fewer cells says nothing."""


def strip(values: Sequence[float], width: int, now: float) -> list[Span]:
    """All of the values as bars in at most `width` cells, scaled to the highest; none when there is no room.

    Where a cell stands for several values it shows their mean. Cells begin at multiples of their length in time, so
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
