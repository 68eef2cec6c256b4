"""The plots of the Metrics screen, by plotext in the theme's colours. Where nothing is known, nothing is drawn."""

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
class Look:
    """What a plot shows: curves by their names in `measures.NAMES`, each with the theme's colour and its word."""

    title: str
    curves: tuple[tuple[str, str, str], ...]
    unit: str = ""
    scale: float = 1.0
    top: float | None = None


LOOKS: dict[str, Look] = {
    "queue": Look("queue", (("queue", "primary", "mean"),), "ready"),
    "waiting": Look("waited", (("waiting_p50_s", "primary", "p50"), ("waiting_p95_s", "warning", "p95"))),
    "throughput": Look("ended", (("throughput_per_min", "success", ""),), "a minute"),
    "tokens": Look("tokens", (("tokens_per_s", "accent", ""),), "a second"),
    "utilisation": Look("utilisation", (("utilisation", "secondary", ""),), "%", scale=100.0, top=100.0),
}


def shown(name: str, value: float | None) -> str:
    """A number as the screen writes it."""
    if value is None:
        return "–"
    if name.startswith("waiting"):
        return numbers.took(value)
    return f"{value * 100:.0f} %" if name == "utilisation" else f"{value:,.1f}"


def segments(curve: Curve) -> Iterator[tuple[int, list[float]]]:
    """The parts of a curve between its gaps: where each begins, and its values."""
    part: list[float] = []
    for place, value in enumerate((*curve, None)):
        if value is not None:
            part.append(value)
        elif part:
            yield place - len(part), part
            part = []


class MetricPlot(PlotextPlot):
    """One plot; its title has the whole span's value."""

    def __init__(self, name: str, place: int) -> None:
        super().__init__(id=name, classes="part plot")
        self._look = LOOKS[name]
        self._place = place
        self._found: tuple[Measures, Measure] | None = None
        self.border_title = Content(f"{place} {self._look.title}")

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())

    def show(self, found: Measures, one: Measure) -> None:
        """Draw `one`, which is all of `found` or one of its priorities."""
        self._found = found, one
        self._repaint()

    def _repaint(self) -> None:
        if not self.is_attached:
            return
        self.plt.clear_figure()
        if self._found is not None:
            found, one = self._found
            self.border_title = self._title(one) if self._paint(found, one) else self._nothing(found)
        self.refresh()

    def _title(self, one: Measure) -> Content:
        look = self._look
        parts: list[str | tuple[str, str]] = [f"{self._place} {look.title} "]
        for name, colour, word in look.curves:
            parts.append((f" {word} {shown(name, one.totals[name])}".replace("  ", " "), f"${colour}"))
        unit = "" if look.unit == "%" else f" {look.unit}" if look.unit else ""
        return Content.assemble(*parts, unit)

    def _nothing(self, found: Measures) -> Content:
        why = "nothing started in this time" if found.running_s > 0 else "no program ran in this time"
        return Content.assemble(f"{self._place} {self._look.title}  ", (why, "$warning"))

    def _paint(self, found: Measures, one: Measure) -> bool:
        """Draw the curves; whether there was anything to draw."""
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
    """Places on the axis, in buckets, and the times of day there; three, so that they fit."""
    form = "%H:%M:%S" if found.until - found.since <= 600 else "%H:%M"
    places = [0.0, found.buckets / 2, float(found.buckets)]
    moments = [found.since + place * found.width for place in places]
    return places, [datetime.fromtimestamp(moment).astimezone().strftime(form) for moment in moments]
