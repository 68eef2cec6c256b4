"""Plots of the last minutes, hour or day from the history, and a table by priority."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Static

from aios_tui.console.screens.base import ConsoleScreen
from aios_tui.console.widgets.hint_bar import Flow, Hints
from aios_tui.console.widgets.metric_plots import PLOTS, MetricPlot, by_priority
from aios_tui.formatting import numbers
from aios_tui.reporting.history_metrics import Measures, measure
from engine.errors import AiosError
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from aios_tui.console.state.view_state import Changes

SPANS: tuple[tuple[str, float, int, float], ...] = (
    ("5 min", 300.0, 60, 2.0),
    ("hour", 3_600.0, 60, 10.0),
    ("day", 86_400.0, 96, 60.0),
)
"""Name, length in seconds, number of buckets, and seconds until it is read again."""
LEAST_S, COST = 1.0, 10
"""The least seconds between two reads when tasks end, and the least multiple of the time that the last read took."""

PARTS = (*PLOTS, "priorities")


class MetricsScreen(ConsoleScreen[None]):
    """From 100 columns on, all plots are shown; below that one at a time."""

    SCOPE = "metrics"

    def __init__(self) -> None:
        super().__init__()
        self._span = 0
        self._priority: int | None = None
        self._part = 0
        self._trouble = ""
        self._due = self._earliest = 0.0
        self.found: Measures | None = None

    def compose(self) -> ComposeResult:
        yield Flow(id="head", gap=2)
        with Container(id="parts"):
            for number, name in enumerate(PLOTS, 1):
                yield MetricPlot(name, number)
            with VerticalScroll(id="priorities", classes="part", can_focus=False):
                yield Static("", id="figures", markup=False)
        yield Hints()

    def on_mount(self) -> None:
        self.query_one("#priorities").border_title = Content(f"{len(PARTS)} by priority")
        self._fit(self.app.size)
        self._highlight_part()
        self._draw()
        self.console.frames.subscribe(self, self._on_frame)
        self.set_interval(0.5, self._tick)
        self._read()

    def on_resize(self, event: Resize) -> None:
        self._fit(event.size)

    def _fit(self, size: Size) -> None:
        self.set_class(size.width >= 100 and size.height >= 30, "-wide")
        self.set_class(size.width >= 170, "-broad")
        self.set_class(size.height < 14, "-tiny")

    # Data

    def _on_frame(self, changes: Changes) -> None:
        if changes.results or changes.everything:  # a task has ended
            self._due = min(self._due, self._earliest)
            self._tick()

    def _tick(self) -> None:
        reading = any(worker.group == "history" and not worker.is_finished for worker in self.workers)
        if time.monotonic() >= self._due and not reading:
            self._read()

    @work(exclusive=True, group="history")
    async def _read(self) -> None:
        _, seconds, buckets, pause = SPANS[self._span]
        begun = time.monotonic()
        until = self.console.now()
        try:
            activity = await self.console.runtime.history.activity(until - seconds, until, buckets)
            self.found = await asyncio.to_thread(measure, activity)
            self._trouble = ""
        except AiosError as error:
            self._trouble = one_line(str(error))
        ended = time.monotonic()
        self._earliest = ended + max(LEAST_S, COST * (ended - begun))
        self._due = max(ended + pause, self._earliest)
        self._draw()

    # Drawing

    def _draw(self) -> None:
        found = self.found
        self.query_one("#head", Flow).update(self._head(found))
        if found is not None:
            if self._priority is not None and self._priority not in found.by_priority:
                self._priority = None
            for plot in self.query(MetricPlot):
                plot.show(found, found.of(self._priority))
            self.query_one("#figures", Static).update(by_priority(found))
        self.draw_hints()

    def _head(self, found: Measures | None) -> list[Content]:
        cells = [Content.styled("Metrics", "bold")]
        spans: list[tuple[str, str]] = [("last", "$muted")]
        for index, (name, *_) in enumerate(SPANS):
            spans.append((f" {name}", "bold $accent" if index == self._span else "$muted"))
        cells.append(Content.assemble(*spans))
        cells.append(Content("all priorities" if self._priority is None else f"priority {self._priority}"))
        if self._trouble:
            return [*cells, Content.styled(self._trouble, "$error")]
        if found is None:
            return [*cells, Content.styled("reading …", "$muted")]
        one, span = found.of(self._priority), found.until - found.since
        cells.append(Content(f"{one.done:,} done, {one.failed:,} failed, {one.cancelled:,} cancelled"))
        cells.append(Content(plural(found.slots, "slot")))
        if span - found.running_s > 1:
            ran = f"the program ran for {numbers.clock(found.running_s)} of {numbers.clock(span)}"
            cells.append(Content.styled(ran, "$warning"))
        return cells

    def _highlight_part(self) -> None:
        for index, name in enumerate(PARTS):
            self.query_one(f"#{name}").set_class(index == self._part, "-current")

    # What keys do

    def action_change_span(self, step: int) -> None:
        span = max(0, min(self._span + step, len(SPANS) - 1))
        if span != self._span:
            self._span = span
            self._draw()
            self._read()

    def action_change_priority(self, step: int) -> None:
        levels: list[int | None] = [None, *(self.found.by_priority if self.found is not None else ())]
        self._priority = levels[(levels.index(self._priority) + step) % len(levels)]
        self._draw()

    def action_turn(self, step: int) -> None:
        self._part = (self._part + step) % len(PARTS)
        self._highlight_part()

    def action_pane(self, number: int) -> None:
        self._part = number - 1
        self._highlight_part()

    def action_zoom(self) -> None:
        self.toggle_class("-one")

    def action_refresh(self) -> None:
        self._read()
