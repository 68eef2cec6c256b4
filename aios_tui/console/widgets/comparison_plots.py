"""The plots of a comparison, drawn by plotext in the theme's colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.color import Color
from textual.content import Content
from textual_plotext import PlotextPlot

from aios_tui.reporting.comparison import LETTERS, Curve, MeasuredRun

COLOURS = ("primary", "accent", "success", "error", "secondary", "warning")
"""The theme's variables for the runs A … F."""


def colour_of(place: int) -> str:
    """Return the theme variable of a run's colour, with its $."""
    return f"${COLOURS[place % len(COLOURS)]}"


class Plot(PlotextPlot):
    """One plot with its title in its frame. Subclasses implement `paint`."""

    TITLE = ""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="plot")
        self._runs: Sequence[MeasuredRun] = ()
        self.border_title = Content(self.TITLE)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())

    def show(self, runs: Sequence[MeasuredRun]) -> None:
        """Draw these runs."""
        self._runs = runs
        self._repaint()

    def paint(self, runs: Sequence[MeasuredRun]) -> None:
        """Draw on `self.plt`."""
        raise NotImplementedError

    def _repaint(self) -> None:
        if not self.is_attached:
            return
        self.plt.clear_figure()
        if self._runs:
            self.paint(self._runs)
        self.refresh()

    def rgb(self, place: int) -> tuple[int, int, int]:
        """Return the colour of a run as plotext takes it."""
        return Color.parse(self.app.theme_variables[COLOURS[place % len(COLOURS)]]).rgb

    def curves(self, curves: Sequence[Curve]) -> None:
        for place, curve in enumerate(curves):
            if curve:
                self.plt.plot([x for x, _ in curve], [y for _, y in curve], color=self.rgb(place), marker="braille")


class WaitingCurve(Plot):
    """The cumulative distribution of waiting times."""

    TITLE = "share of tasks that waited at most so many seconds"

    def paint(self, runs: Sequence[MeasuredRun]) -> None:
        self.curves([run.waiting for run in runs])
        self.plt.ylim(0, 1)


class QueueCurve(Plot):
    """The number of waiting tasks over the time of the run."""

    TITLE = "tasks waiting, over the run's seconds"

    def paint(self, runs: Sequence[MeasuredRun]) -> None:
        self.curves([run.queue for run in runs])


class WaitingBars(Plot):
    """The mean waiting time by priority."""

    TITLE = "mean waiting in seconds, by priority"

    def paint(self, runs: Sequence[MeasuredRun]) -> None:
        levels = sorted({level for run in runs for level in run.by_priority})
        if not levels:
            return
        heights = [[run.by_priority.get(level, 0.0) for level in levels] for run in runs]
        colours: Any = [self.rgb(place) for place in range(len(runs))]  # one each; the annotation knows only one
        self.plt.multiple_bar([str(level) for level in levels], heights, color=colours, width=0.7)


def legend(runs: Sequence[MeasuredRun]) -> list[Content]:
    """Return a run's letter in its colour, and its name."""
    return [
        Content.assemble(
            (f"{LETTERS[place]} ", f"bold {colour_of(place)}"), run.kept.policy, (f" {run.kept.kind}", "$muted")
        )
        for place, run in enumerate(runs)
    ]
