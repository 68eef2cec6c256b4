"""Kept runs side by side: which, the table, and the plots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, ScrollableContainer, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.screens.base import Beneath
from aios_tui.console.widgets.comparison_plots import Plot, QueueCurve, WaitingBars, WaitingCurve, legend
from aios_tui.console.widgets.comparison_table import drawn_table
from aios_tui.console.widgets.hint_bar import Flow, Hints, hint
from aios_tui.console.widgets.run_line import run_text
from aios_tui.reporting.comparison import LETTERS, MeasuredRun, measured, suggested, table
from aios_tui.reporting.run_store import StoredRun, plain_name
from engine.errors import AiosError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase

KEYS: tuple[tuple[str, str, str], ...] = (
    ("escape,q", "leave", "back"),
    ("space,enter", "mark", "compare the run, or leave it out"),
    ("d", "delete", "delete the run; asks by being pressed twice"),
    ("1", "part('runs')", "go to the list of runs"),
    ("2", "part('table')", "go to the table"),
    ("3", "part('plots')", "go to the plots"),
    ("tab", "turn(1)", "the next part"),
    ("shift+tab", "turn(-1)", "the part before"),
    ("j,down", "move('down')", "one line down"),
    ("k,up", "move('up')", "one line up"),
    ("l,right", "move('right')", "to the right in a wide table"),
    ("h,left", "move('left')", "to the left"),
    ("g,home", "move('home')", "the first"),
    ("G,end", "move('end')", "the last"),
    ("pagedown,ctrl+f", "move('page_down')", "a page down"),
    ("pageup,ctrl+b", "move('page_up')", "a page up"),
    ("w", "workloads", "choose a workload"),
    ("t", "act('theme')", "choose a colour theme"),
    ("question_mark", "help", "this list"),
)
PARTS = ("runs", "table", "plots")
TITLES = {"runs": "1 Runs", "table": "2 Table", "plots": "3 Plots"}


class RunList(OptionList):
    """The runs. Enter and a click mark."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.mark", show=False)]


class CompareScreen(Beneath):
    """Compares the `marked` runs; without any, the newest and those of the same workload made just before it.

    From 100 columns on all parts are seen; below that one at a time.
    """

    CSS_PATH = "compare.tcss"
    AUTO_FOCUS = "#runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(keys, action, words, show=False, priority=keys in ("tab", "shift+tab")) for keys, action, words in KEYS
    ]

    def __init__(self, marked: Sequence[int] = ()) -> None:
        super().__init__()
        self.marked = list(marked)[: len(LETTERS)]
        self._kept: dict[int, StoredRun] = {}
        self._measured: dict[int, MeasuredRun] = {}
        self._delete: int | None = None
        self._trouble = ""

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    @property
    def shown(self) -> list[MeasuredRun]:
        """What is compared, as far as it is worked out."""
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
        if len(self.marked) > 1 and not self.has_class(
            "-wide"
        ):  # what is to be compared is known: show how it compares
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
            kept = await self.console.runs.listed()
        except AiosError as error:
            self._trouble = one_line(str(error))
            kept = ()
        self._kept = {run.id: run for run in kept}
        self.marked = [id_ for id_ in self.marked if id_ in self._kept] or suggested(kept)
        await self._measure()
        self._list()

    async def _measure(self) -> None:
        """Work out what is marked and not yet known."""
        for id_ in list(self.marked):
            if id_ in self._measured or id_ not in self._kept:
                continue
            try:
                run = await self.console.runs.load(id_)
                self._measured[id_] = await asyncio.to_thread(measured, self._kept[id_], run)
            except AiosError as error:
                self.marked.remove(id_)
                self.console.tell(str(error), "error")
        self._draw()

    @work(exclusive=True, group="lines")
    async def _follow(self) -> None:
        await self._measure()

    # Drawing

    def _list(self) -> None:
        listing = self.query_one(RunList)
        at = listing.highlighted
        listing.clear_options()
        for run in self._kept.values():
            listing.add_option(Option(run_text(run, self.marked), id=str(run.id)))
        if self._kept:
            listing.highlighted = min(at or 0, len(self._kept) - 1)
        else:
            nothing = self._trouble or "No runs are kept yet: w chooses a workload, v there simulates it."
            listing.add_option(Option(Content.styled(nothing, "$muted"), disabled=True))

    def _draw(self) -> None:
        shown = self.shown
        self.query_one("#head", Flow).update(self._head(shown))
        self.query_one("#legend", Flow).update(legend(shown))
        self.query_one("#figures", Static).update(drawn_table(shown, table(shown)))
        for plot in self.query(Plot):
            plot.show(shown)
        hints = (("space", "mark"), ("1", "runs"), ("2", "table"), ("3", "plots"), ("d", "delete"), ("w", "workloads"),
                 ("esc", "back"), ("?", "help"))  # fmt: skip
        self.query_one("#hints", Flow).update([hint(*each) for each in hints])

    def _head(self, shown: Sequence[MeasuredRun]) -> list[Content]:
        cells = [Content.styled("Compare", "bold")]
        if len(shown) < 2:
            said = "mark two or more runs with space" if len(self._kept) > 1 else ""
            return [*cells, Content.styled(said, "$muted")]
        names = {plain_name(run.kept.workload) for run in shown}
        cells.append(Content(", ".join(sorted(names))))
        if len(names) > 1:
            cells.append(Content.styled("these are different workloads", "$warning"))
        return cells

    # What keys do

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_act(self, action: str) -> None:
        self.console.act(action)

    def action_workloads(self) -> None:
        self.dismiss(None)
        self.console.act("workloads")

    def action_help(self) -> None:
        from aios_tui.console.screens.help import HelpScreen

        self.app.push_screen(HelpScreen("compare", keys=[(keys, words) for keys, _, words in KEYS]))

    @property
    def part(self) -> str:
        """The part that has the focus."""
        return next((name for name in PARTS if self.query_one(f"#{name}").has_class("-current")), "runs")

    def action_part(self, name: str) -> None:
        for each in PARTS:
            self.query_one(f"#{each}").set_class(each == name, "-current")
        self.query_one(f"#{name}").focus()

    def action_turn(self, step: int) -> None:
        self.action_part(PARTS[(PARTS.index(self.part) + step) % len(PARTS)])

    def on_descendant_focus(self) -> None:
        focused = self.focused
        if isinstance(focused, Widget) and focused.id in PARTS:
            for each in PARTS:
                self.query_one(f"#{each}").set_class(each == focused.id, "-current")

    def action_move(self, how: str) -> None:
        part = self.query_one(f"#{self.part}")
        if isinstance(part, RunList):
            names = {
                "down": "cursor_down", "up": "cursor_up", "home": "first", "end": "last",
                "page_down": "page_down", "page_up": "page_up",
            }  # fmt: skip
            if how in names:
                getattr(part, f"action_{names[how]}")()
        else:
            getattr(part, f"action_{'' if how.startswith('page') else 'scroll_'}{how}")()

    def _pointed(self) -> StoredRun | None:
        option = self.query_one(RunList).highlighted_option
        return None if option is None or option.id is None else self._kept.get(int(option.id))

    @on(OptionList.OptionSelected)
    def _clicked(self) -> None:
        self.action_mark()

    def action_mark(self) -> None:
        run = self._pointed()
        self._delete = None
        if run is None:
            return
        if run.id in self.marked:
            self.marked.remove(run.id)
        elif len(self.marked) >= len(LETTERS):
            self.console.tell(f"at most {len(LETTERS)} runs are compared; leave one out first", "warning")
            return
        else:
            self.marked.append(run.id)
        self._list()
        self._follow()

    def action_delete(self) -> None:
        run = self._pointed()
        if run is None:
            self.console.tell("no run is chosen", "warning")
        elif self._delete != run.id:
            self._delete = run.id
            self.app.clear_notifications()  # what was asked of another run
            self.console.tell(f"d again deletes {_name(run)} for good", "warning")
        else:
            self._delete = None
            self._let_go(run)

    @work(group="actions")
    async def _let_go(self, run: StoredRun) -> None:
        try:
            await self.console.runs.delete(run.id)
        except AiosError as error:
            self.console.tell(str(error), "error")
            return
        self.app.clear_notifications()
        self.console.tell(f"{_name(run)} is deleted")
        self.marked = [each for each in self.marked if each != run.id]
        self._measured.pop(run.id, None)
        self._read()


def _name(run: StoredRun) -> str:
    """A run as no other one is called."""
    return f"run {run.id}, {run.policy} {run.kind} of {plain_name(run.workload)}"
