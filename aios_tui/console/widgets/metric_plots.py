"""The table and the plots of the Metrics screen, drawn by plotext in the theme's colours. Unknown values leave gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from textual.color import Color
from textual.content import Content
from textual_plotext import PlotextPlot

from aios_tui.formatting import numbers
from aios_tui.reporting.history_metrics import Curve, Measure, Measures


@dataclass(frozen=True, slots=True)
class PlotSpec:
    """A plot: curves by their names in `measures.NAMES`, each with the theme's colour and its label."""

    title: str
    curves: tuple[tuple[str, str, str], ...]
    unit: str = ""
    scale: float = 1.0
    top: float | None = None


PLOTS: dict[str, PlotSpec] = {
    "queue": PlotSpec("queue", (("queue", "primary", "mean"),), "ready"),
    "waiting": PlotSpec("waited", (("waiting_p50_s", "primary", "p50"), ("waiting_p95_s", "warning", "p95"))),
    "throughput": PlotSpec("ended", (("throughput_per_min", "success", ""),), "a minute"),
    "tokens": PlotSpec("tokens", (("tokens_per_s", "accent", ""),), "a second"),
    "utilisation": PlotSpec("utilisation", (("utilisation", "secondary", ""),), "%", scale=100.0, top=100.0),
}

_COLUMNS = ("pri", "ended", "failed", "queue", "p50", "p95", "/min", "tok/s", "busy")
_TOTALS = ("queue", "waiting_p50_s", "waiting_p95_s", "throughput_per_min", "tokens_per_s", "utilisation")


def format_value(name: str, value: float | None) -> str:
    """Write a metric's value with its unit, – if it is unknown."""
    if value is None:
        return "–"
    if name.startswith("waiting"):
        return numbers.took(value)
    return f"{value * 100:.0f} %" if name == "utilisation" else f"{value:,.1f}"


def segments(curve: Curve) -> Iterator[tuple[int, list[float]]]:
    """Yield the parts of a curve between its gaps: index of the first value, and the values."""
    part: list[float] = []
    for index, value in enumerate((*curve, None)):
        if value is not None:
            part.append(value)
        elif part:
            yield index - len(part), part
            part = []


class MetricPlot(PlotextPlot):
    """One plot; its title has the value over the whole span."""

    def __init__(self, name: str, place: int) -> None:
        super().__init__(id=name, classes="part plot")
        self._look = PLOTS[name]
        self._place = place
        self._found: tuple[Measures, Measure] | None = None
        self.border_title = Content(f"{place} {self._look.title}")

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())

    def show(self, found: Measures, one: Measure) -> None:
        """Draw `one`: all tasks of `found`, or those of one priority."""
        self._found = found, one
        self._repaint()

    def _repaint(self) -> None:
        if not self.is_attached:
            return
        self.plt.clear_figure()
        if self._found is not None:
            found, one = self._found
            self.border_title = self._title(one) if self._paint(found, one) else self._empty_title(found)
        self.refresh()

    def _title(self, one: Measure) -> Content:
        look = self._look
        parts: list[str | tuple[str, str]] = [f"{self._place} {look.title} "]
        for name, colour, label in look.curves:
            parts.append((f" {label} {format_value(name, one.totals[name])}".replace("  ", " "), f"${colour}"))
        unit = "" if look.unit == "%" else f" {look.unit}" if look.unit else ""
        return Content.assemble(*parts, unit)

    def _empty_title(self, found: Measures) -> Content:
        why = "nothing started in this time" if found.running_s > 0 else "no program ran in this time"
        return Content.assemble(f"{self._place} {self._look.title}  ", (why, "$warning"))

    def _paint(self, found: Measures, one: Measure) -> bool:
        """Draw the curves; returns True if there was a value."""
        look, most, drawn = self._look, 0.0, False
        for name, colour, _ in look.curves:
            rgb = Color.parse(self.app.theme_variables[colour]).rgb
            for begin, values in segments(one.curves[name]):
                heights = [value * look.scale for value in values]
                most, drawn = max(most, *heights), True
                places = [begin + n + 0.5 for n in range(len(values))]
                draw = self.plt.plot if len(values) > 1 else self.plt.scatter
                draw(places, heights, color=rgb, marker="braille")
        self.plt.xlim(0, found.buckets)
        self.plt.ylim(0, look.top or most * 1.05 or 1.0)
        places_of_ticks, labels = ticks(found)
        self.plt.xticks(places_of_ticks, labels)
        return drawn


def ticks(found: Measures) -> tuple[list[float], list[str]]:
    """Return three positions on the axis, in buckets, and their times of day."""
    form = "%H:%M:%S" if found.until - found.since <= 600 else "%H:%M"
    places = [0.0, found.buckets / 2, float(found.buckets)]
    moments = [found.since + place * found.width for place in places]
    return places, [datetime.fromtimestamp(moment).astimezone().strftime(form) for moment in moments]


def by_priority(found: Measures) -> Content:
    """Return a row for all tasks, then one per priority."""
    rows = [_row("all", found.all), *(_row(str(level), one) for level, one in found.by_priority.items())]
    widths = [max(len(row[place]) for row in (_COLUMNS, *rows)) for place in range(len(_COLUMNS))]
    lines = [Content.styled(_line(_COLUMNS, widths), "$muted")]
    lines += [Content.styled(_line(row, widths), "bold" if row[0] == "all" else "") for row in rows]
    return Content("\n").join(lines)


def _row(name: str, one: Measure) -> tuple[str, ...]:
    return (name, f"{one.ended:,}", f"{one.failed:,}", *(format_value(each, one.totals[each]) for each in _TOTALS))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return " ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
