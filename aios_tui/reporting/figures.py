"""Draw the figures of a report as SVG. Needs matplotlib, the extra `report`; imported only for drawing.

The drawing depends on neither time nor chance: the same runs give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aios_tui.reporting.results import Result, Results
from engine.replay.metrics import queue_length, waiting_cdf
from engine.sanitise import one_line
from engine.wording import plural

# Okabe and Ito's palette, which people with any colour vision can tell apart; each with its own dash as well.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 2)))
P95 = "95th percentile"
_HATCHES = ("", "///", "...", "xx", "\\\\\\", "++", "oo")
_STYLE: Any = {
    "svg.hashsalt": "aios-tui",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.parse_math": False,
    "hatch.linewidth": 0.6,
}


def draw_all(results: Results) -> Iterator[tuple[str, str, bytes]]:
    """Yield each figure as file name, caption and SVG."""
    for name, caption, draw in (
        ("waiting-cdf.svg", "Share of tasks that waited at most so long, by policy", _cdf),
        ("queue-length.svg", "Tasks waiting for their first dispatch over time, by policy", _queue),
        ("waiting-by-priority.svg", "Mean waiting time by priority and policy, with the 95th percentile", _priorities),
    ):
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=(7.2, 4.0), layout="constrained")
            draw(figure.add_subplot(), results.results)
            out = io.BytesIO()
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "aios-tui", "Title": caption})
        yield name, caption, out.getvalue()


def _cdf(axes: Axes, results: tuple[Result, ...]) -> None:
    most, counts = 0.0, set[int]()
    for index, result in enumerate(results):
        points = waiting_cdf(result.run, 500)
        if not points:
            continue
        n = result.metrics.overall.waiting.n if result.metrics.overall.waiting else 0
        counts.add(n)
        most = max(most, points[-1][0])
        xs, ys = [points[0][0], *(x for x, _ in points)], [0.0, *(100 * y for _, y in points)]
        axes.step(xs, ys, where="post", label=_name(result), **_line(index))
    medians = [result.metrics.overall.waiting.p50 for result in results if result.metrics.overall.waiting]
    wide = _seconds_axis(axes, most, min(medians, default=most))
    axes.set_xlabel(f"waiting time, seconds{' (logarithmic beyond 1)' if wide else ''}")
    axes.set_ylabel("tasks that waited at most so long, %")
    if counts:
        numbers = " … ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
        title = f"{numbers} task{'' if counts == {1} else 's'}"
        axes.set_title(title, loc="right", fontsize="medium", color="#555555")
    axes.set_ylim(0, 102)
    axes.set_title("Waiting time", loc="left")
    _legend(axes)


def _queue(axes: Axes, results: tuple[Result, ...]) -> None:
    for index, result in enumerate(results):
        points = queue_length(result.run)
        axes.step([x for x, _ in points], [y for _, y in points], where="post", label=_name(result), **_line(index))
    axes.set_xlabel("time from the start of the workload, seconds")
    axes.set_ylabel("tasks waiting")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Queue length", loc="left")
    _legend(axes)


def _priorities(axes: Axes, results: tuple[Result, ...]) -> None:
    priorities = sorted({priority for result in results for priority in result.metrics.by_priority})
    width = 0.8 / max(1, len(results))
    for index, result in enumerate(results):
        xs, means, p95s = [], [], []
        for x, priority in enumerate(priorities):
            group = result.metrics.by_priority.get(priority)
            if group is not None and group.waiting is not None:
                xs.append(x + (index - (len(results) - 1) / 2) * width)
                means.append(group.waiting.mean)
                p95s.append(group.waiting.p95)
        colour = _COLOURS[index % len(_COLOURS)]
        hatch = _HATCHES[index % len(_HATCHES)]
        axes.bar(xs, means, width * 0.9, label=_name(result), color=colour, hatch=hatch, edgecolor="white", linewidth=0)
        axes.plot(
            xs,
            p95s,
            linestyle="none",
            marker="_",
            markersize=max(5.0, 60 * width / max(1, len(priorities))),
            markeredgewidth=1.8,
            color="#333333",
            label=P95 if index == len(results) - 1 else None,
        )
    counts = {p: results[0].metrics.by_priority[p].n for p in priorities if p in results[0].metrics.by_priority}
    axes.set_xticks(range(len(priorities)), [f"{p}\n{plural(counts.get(p, 0), 'task')}" for p in priorities])
    axes.set_xlabel("priority (0 is the most urgent)")
    axes.set_ylabel("waiting time, seconds")
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    axes.set_title("Mean waiting time by priority", loc="left")
    _legend(axes)


def _seconds_axis(axes: Axes, most: float, middle: float) -> bool:
    """Make the axis of seconds logarithmic when most waits would be squeezed at its left end. Returns True then."""
    wide = most > 100 and middle < most / 20
    if wide:
        axes.set_xscale("symlog", linthresh=1.0)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(left=0)
    return wide


def _line(index: int) -> dict[str, Any]:
    return {"color": _COLOURS[index % len(_COLOURS)], "linestyle": _DASHES[index % len(_DASHES)], "linewidth": 1.8}


def _legend(axes: Axes) -> None:
    """Draw the legend below the axes, in rows that fit, the runs first."""
    handles, labels = axes.get_legend_handles_labels()
    figure = axes.get_figure(root=True)
    if labels and figure is not None:
        longest = max(map(len, labels)) + 8  # characters, with the line sample
        columns = max(1, min(len(labels), 92 // longest))
        pairs = sorted(zip(handles, labels, strict=True), key=lambda pair: pair[1] == P95)
        figure.legend(*zip(*pairs, strict=True), loc="outside lower center", ncols=columns, handlelength=2.6)


def _name(result: Result) -> str:
    name = one_line(result.name, 40)
    return f"\u2009{name}" if name.startswith("_") else name
