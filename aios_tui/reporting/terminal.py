"""Draw plots in the terminal with plotext: the waiting-time distribution and the queue over time."""

from __future__ import annotations

import shutil

import plotext

from aios_tui.reporting.results import Results
from engine.replay.metrics import queue_length, waiting_cdf
from engine.sanitise import one_line

_COLOURS = ("blue", "orange", "green", "magenta", "cyan", "yellow", "red")
_Series = list[tuple[str, list[tuple[float, float]]]]


def plots(results: Results, width: int | None = None, height: int = 14) -> str:
    """Return two plots, one below the other, with colours. `width` in columns; None for the terminal's."""
    width = max(30, min(width or shutil.get_terminal_size().columns, 120))
    runs = [(one_line(result.name, 30), result.run) for result in results.results]
    cdf = [(name, [(x, 100 * y) for x, y in waiting_cdf(run, 200)]) for name, run in runs]
    queue = [(name, [(x, float(y)) for x, y in queue_length(run, 200)]) for name, run in runs]
    drawn = []
    if _spread(cdf):
        title = "waiting time: % of tasks that waited at most so many seconds"
        drawn.append(_plot(title, cdf, width, height, 100))
    if _spread(queue):
        drawn.append(_plot("queue: tasks waiting, by seconds from the start", queue, width, height))
    return "\n".join(drawn)


def _spread(series: _Series) -> bool:
    """Return True when a series has more than one point."""
    return any(len({x for x, _ in points}) > 1 for _, points in series)


def _plot(title: str, series: _Series, width: int, height: int, top: int | None = None) -> str:
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    plotext.title(title)
    for index, (name, points) in enumerate(series):
        if points:
            colour = _COLOURS[index % len(_COLOURS)]
            plotext.plot(*zip(*points, strict=True), label=name, color=colour, marker="braille")
    if top is not None:
        plotext.ylim(0, top)
        plotext.yticks([0, top / 4, top / 2, top * 3 / 4, top])
    return str(plotext.build())
