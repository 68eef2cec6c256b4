"""Saved runs side by side: the list, a table and plots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, ScrollableContainer, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.screen_keys import bindings
from aios_tui.console.screens.base import ConsoleScreen, move
from aios_tui.console.widgets.comparison_plots import Plot, QueueCurve, WaitingBars, WaitingCurve, legend
from aios_tui.console.widgets.comparison_table import drawn_table, run_text
from aios_tui.console.widgets.hint_bar import Flow, Hints
from aios_tui.reporting.comparison import LETTERS, MeasuredRun, measured, suggested, table
from aios_tui.reporting.run_store import StoredRun, plain_name
from engine.errors import AiosError
from engine.sanitise import one_line

PARTS = ("runs", "table", "plots")
TITLES = {"runs": "1 Runs", "table": "2 Table", "plots": "3 Plots"}


class RunList(OptionList):
    """The runs. Enter and a click select for comparison."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("compare", "open", target="screen.")


class CompareScreen(ConsoleScreen[None]):
    """Compares the `marked` runs; by default the newest run and those of the same workload made just before it.

    From 100 columns on, all parts are shown; below that one at a time.
    """

    AUTO_FOCUS = "#runs"
    SCOPE = "compare"

    def __init__(self, marked: Sequence[int] = ()) -> None:
        super().__init__()
        self.marked = list(marked)[: len(LETTERS)]
        self._runs: dict[int, StoredRun] = {}
        self._measured: dict[int, MeasuredRun] = {}
        self._delete: int | None = None
        self._trouble = ""

    @property
    def shown(self) -> list[MeasuredRun]:
        """The marked runs whose figures are computed."""
        return [self._measured[id_] for id_ in self.marked if id_ in self._measured]

    def compose(self) -> ComposeResult:
        yield Flow(id="head", gap=2)
        with Container(id="parts"):
            yield RunList(id="runs", classes="part -current", markup=False)
            with ScrollableContainer(id="table", classes="part"):
                yield Static("", id="figures", markup=False)
            with VerticalScroll(id="plots", classes="part"):
                yield WaitingCurve(id="waiting")
                yield QueueCurve(id="queue-length")
                yield WaitingBars(id="by-priority")
        yield Flow(id="legend")
        yield Hints()

    def on_mount(self) -> None:
        for name, title in TITLES.items():
            self.query_one(f"#{name}").border_title = Content(title)
        self._fit(self.app.size)
        if len(self.marked) > 1 and not self.has_class("-wide"):  # the runs are chosen: show the comparison
            self.set_focus(self.query_one("#table"))
        self._draw()
        self._read()

    def on_resize(self, event: Resize) -> None:
        self._fit(event.size)

    def _fit(self, size: Size) -> None:
        self.set_class(size.width >= 100 and size.height >= 30, "-wide")
        self.set_class(size.height < 14, "-tiny")

    # Data

    @work(exclusive=True, group="history")
    async def _read(self) -> None:
        try:
            runs = await self.console.runs.listed()
        except AiosError as error:
            self._trouble = one_line(str(error))
            runs = ()
        self._runs = {run.id: run for run in runs}
        self.marked = [id_ for id_ in self.marked if id_ in self._runs] or suggested(runs)
        await self._measure()
        self._list()

    async def _measure(self) -> None:
        """Compute the figures of marked runs that have none yet."""
        for id_ in list(self.marked):
            if id_ in self._measured or id_ not in self._runs:
                continue
            try:
                run = await self.console.runs.load(id_)
                self._measured[id_] = await asyncio.to_thread(measured, self._runs[id_], run)
            except AiosError as error:
                self.marked.remove(id_)
                self.console.notify(str(error), severity="error")
        self._draw()

    @work(exclusive=True, group="lines")
    async def _measure_marked(self) -> None:
        await self._measure()

    # Drawing

    def _list(self) -> None:
        listing = self.query_one(RunList)
        at = listing.highlighted
        listing.clear_options()
        for run in self._runs.values():
            listing.add_option(Option(run_text(run, self.marked), id=str(run.id)))
        if self._runs:
            listing.highlighted = min(at or 0, len(self._runs) - 1)
        else:
            empty = self._trouble or "No saved runs. Press w to choose a workload, then v to simulate it."
            listing.add_option(Option(Content.styled(empty, "$muted"), disabled=True))

    def _draw(self) -> None:
        if not self.is_attached:  # closed while its runs were read
            return
        shown = self.shown
        self.query_one("#head", Flow).update(self._head(shown))
        self.query_one("#legend", Flow).update(legend(shown))
        self.query_one("#figures", Static).update(drawn_table(shown, table(shown)))
        for plot in self.query(Plot):
            plot.show(shown)
        self.draw_hints()

    def _head(self, shown: Sequence[MeasuredRun]) -> list[Content]:
        cells = [Content.styled("Compare", "bold")]
        if len(shown) < 2:
            advice = "select two or more runs with space" if len(self._runs) > 1 else ""
            return [*cells, Content.styled(advice, "$muted")]
        names = {plain_name(run.kept.workload) for run in shown}
        cells.append(Content(", ".join(sorted(names))))
        if len(names) > 1:
            cells.append(Content.styled("different workloads", "$warning"))
        return cells

    # What keys do

    def action_workloads(self) -> None:
        self.dismiss(None)
        self.console.act("workloads")

    @property
    def part(self) -> str:
        """The part that has the focus."""
        return next((name for name in PARTS if self.query_one(f"#{name}").has_class("-current")), "runs")

    def _focus_part(self, name: str) -> None:
        for each in PARTS:
            self.query_one(f"#{each}").set_class(each == name, "-current")
        self.query_one(f"#{name}").focus()

    def action_pane(self, number: int) -> None:
        self._focus_part(PARTS[number - 1])

    def action_turn(self, step: int) -> None:
        self._focus_part(PARTS[(PARTS.index(self.part) + step) % len(PARTS)])

    def on_descendant_focus(self) -> None:
        focused = self.focused
        if isinstance(focused, Widget) and focused.id in PARTS:
            for each in PARTS:
                self.query_one(f"#{each}").set_class(each == focused.id, "-current")

    def action_move(self, direction: str) -> None:
        move(self.query_one(f"#{self.part}"), direction)

    def _highlighted(self) -> StoredRun | None:
        option = self.query_one(RunList).highlighted_option
        return None if option is None or option.id is None else self._runs.get(int(option.id))

    @on(OptionList.OptionSelected)
    def _clicked(self) -> None:
        self.action_mark()

    def action_mark(self) -> None:
        run = self._highlighted()
        self._delete = None
        if run is None:
            return
        if run.id in self.marked:
            self.marked.remove(run.id)
        elif len(self.marked) >= len(LETTERS):
            self.console.notify(f"at most {len(LETTERS)} runs can be compared; deselect one first", severity="warning")
            return
        else:
            self.marked.append(run.id)
        self._list()
        self._measure_marked()

    def action_delete(self) -> None:
        run = self._highlighted()
        if run is None:
            self.console.notify("no run is selected", severity="warning")
        elif self._delete != run.id:
            self._delete = run.id
            self.app.clear_notifications()  # the question about another run
            self.console.notify(f"d again deletes {_name(run)} for good", severity="warning")
        else:
            self._delete = None
            self._delete_run(run)

    @work(group="actions")
    async def _delete_run(self, run: StoredRun) -> None:
        try:
            await self.console.runs.delete(run.id)
        except AiosError as error:
            self.console.notify(str(error), severity="error")
            return
        self.app.clear_notifications()
        self.console.notify(f"{_name(run)} is deleted")
        self.marked = [each for each in self.marked if each != run.id]
        self._measured.pop(run.id, None)
        self._read()


def _name(run: StoredRun) -> str:
    """A name that no other run has."""
    return f"run {run.id}, {run.policy} {run.kind} of {plain_name(run.workload)}"
