"""Choosing a workload: what is in it, and what to do with it: replay it into this kernel, or simulate it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus, Resize
from textual.geometry import Size
from textual.widgets import Input, OptionList, Static

from aios_tui.console.actions import BY_ID
from aios_tui.console.jobs.replay import speed_of
from aios_tui.console.screens.base import Beneath
from aios_tui.console.screens.compare import CompareScreen
from aios_tui.console.screens.export import PathInput
from aios_tui.console.widgets.hint_bar import Flow, Hints, hint
from aios_tui.console.widgets.workload_list import WorkloadDetails, WorkloadList
from aios_tui.console.widgets.workload_summary import head_of, switches_text
from aios_tui.workloads import catalogue
from aios_tui.workloads.calibration import ASSUMED, measured, rates_words
from aios_tui.workloads.catalogue import CatalogueEntry, SimulationSetup
from engine.errors import AiosError, UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aios_tui.console.app_base import ConsoleBase
    from engine.workloads.summary import Summary

KEYS: tuple[tuple[str, str, str], ...] = (
    ("escape,q", "leave", "back to the main screen"),
    ("enter", "replay", "replay the workload into this kernel"),
    ("v", "simulate", "simulate it in virtual time under FIFO, NPPS and NPPS with ageing, and compare them"),
    ("s", "next_speed", "the next speed: 1, 2, 10, as fast as it goes"),
    ("e", "edit('speed')", "type a speed"),
    ("o", "toggle_switches", "do the workload's own switches of policy and pauses, or leave them out"),
    ("slash", "edit('path')", "type the path of a workload file"),
    ("c", "compare", "compare kept runs"),
    ("j,down", "move('down')", "one line down"),
    ("k,up", "move('up')", "one line up"),
    ("g,home", "move('first')", "the first"),
    ("G,end", "move('last')", "the last"),
    ("t", "act('theme')", "choose a colour theme"),
    ("question_mark", "help", "this list"),
)
SPEEDS = ("1", "2", "10", "max")


class WorkloadScreen(Beneath):
    """Lists the samples and the files in `folder`; reads what is pointed at in the background."""

    CSS_PATH = "workloads.tcss"
    AUTO_FOCUS = "#shelf"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys, action, words, show=False) for keys, action, words in KEYS]

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.folder = folder
        self.switches = True
        self.busy = ""
        self.measured = ASSUMED
        self._once_read: Callable[[], None] | None = None
        self._summaries: dict[str, Summary | str] = {}

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    @property
    def shelf(self) -> WorkloadList:
        return self.query_one(WorkloadList)

    @property
    def entry(self) -> CatalogueEntry | None:
        """What is pointed at."""
        return self.shelf.entry

    @property
    def summary(self) -> Summary | None:
        """What is in it, when that is known."""
        found = self._summaries.get(self.shelf.key)
        return None if isinstance(found, str) else found

    def compose(self) -> ComposeResult:
        yield Flow(id="head", gap=2)
        with Container(id="both"):
            yield WorkloadList()
            yield WorkloadDetails()
        with Horizontal(classes="field", id="path-field"):
            yield Static("file", classes="label", markup=False)
            path = PathInput(id="path", compact=True, placeholder="/ the path of another workload file; enter adds it")
            path.cursor_blink = False
            yield path
        with Horizontal(classes="field"):
            yield Static("speed", classes="label", markup=False)
            speed = Input("1", id="speed", compact=True, max_length=12)
            speed.cursor_blink = False
            yield speed
            yield Static("× the recorded pace; max: as fast as it goes", classes="note", markup=False)
        with Horizontal(classes="field"):
            yield Static("switches", classes="label", markup=False)
            yield Static("", id="switches", markup=False)
            yield Static("", id="switches-note", classes="note", markup=False)
        with Horizontal(classes="field", id="rates-field"):
            yield Static("rates", classes="label", markup=False)
            yield Static("", id="rates", markup=False)
        yield Static("", id="problem", classes="-none", markup=False)
        yield Hints()

    def on_mount(self) -> None:
        self._fit(self.app.size)
        self._list()

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _focus_moved(self) -> None:
        self._draw_hints()

    def on_resize(self, event: Resize) -> None:
        self._fit(event.size)

    def _fit(self, size: Size) -> None:
        wide = size.width >= 100
        self.set_class(wide, "-wide")
        self.set_class(size.height < (18 if wide else 22), "-short")
        self.set_class(size.height < 14, "-tiny")

    # Data

    @work(exclusive=True, group="history")
    async def _list(self) -> None:
        await self._measure()
        files = await asyncio.to_thread(catalogue.found_in, self.folder)
        self.shelf.show(catalogue.shipped(), self.folder, files)
        self._draw()

    async def _measure(self) -> None:
        """Look at how quick the models were, for simulations; what is not known stays assumed."""
        try:
            self.measured = await measured(self.console.runtime.history)
        except AiosError as error:
            self._say(str(error))
        told = f"{rates_words(self.measured.service.rates)}  {self.measured.words}"
        self.query_one("#rates", Static).update(Content(told))

    @on(OptionList.OptionHighlighted)
    def _pointed(self) -> None:
        self._say("")
        self._draw()
        self._read()

    @work(exclusive=True, group="lines")
    async def _read(self) -> None:
        key, entry = self.shelf.key, self.entry
        if entry is None or key in self._summaries:
            return
        try:
            self._summaries[key] = await asyncio.to_thread(entry.summary)
        except AiosError as error:
            self._summaries[key] = one_line(str(error), 500)
        self._draw()
        asked, self._once_read = self._once_read, None
        if asked is not None:
            asked()

    # Drawing

    def _draw(self) -> None:
        entry, found = self.entry, self._summaries.get(self.shelf.key)
        self.query_one("#head", Flow).update(head_of(entry, self.busy))
        self.query_one(WorkloadDetails).show(entry, found)
        self._draw_switches(self.summary)
        self._draw_hints()

    def _draw_switches(self, summary: Summary | None) -> None:
        self.query_one("#switches", Static).update(Content("on" if self.switches else "off"))
        self.query_one("#switches-note", Static).update(Content(switches_text(summary, self.switches)))

    def _draw_hints(self) -> None:
        can_replay, can_simulate = self.why_not_replay() is None, self._why_not_read() is None
        shown: tuple[tuple[str, str, bool], ...] = (
            ("enter", "replay", can_replay), ("v", "simulate", can_simulate), ("s", "speed", True),
            ("o", "switches", True), ("/", "file", True), ("c", "compare", True), ("esc", "back", True),
            ("?", "help", True),
        )  # fmt: skip
        if isinstance(self.focused, Input):  # all other keys are written into it
            takes = "add the file to the list" if self.focused.id == "path" else "take the speed"
            shown = (("enter", takes, True), ("esc", "back to the list", True))
        self.query_one("#hints", Flow).update([hint(*each) for each in shown])

    def _say(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(Content(one_line(text, 300)))
        problem.set_class(not text, "-none")

    # What keys do

    def _why_not_read(self) -> str | None:
        if self.busy:
            return self.busy
        found = self._summaries.get(self.shelf.key)
        if self.entry is None:
            return "no workload is chosen"
        if isinstance(found, str):
            return found
        return "it is still being read" if found is None else "it has no tasks" if not found.tasks else None

    def why_not_replay(self) -> str | None:
        """Why the workload can't be replayed now; None when it can."""
        now = self.console.situation()
        if now.replay is not None:
            return f"{now.replay.name} is being replayed; {BY_ID['replay_stop'].shown_key} on the main screen ends it"
        return BY_ID["new"].why_not(now) or self._why_not_read()

    def action_leave(self) -> None:
        """Back to the list from a field, and to the main screen from there."""
        if isinstance(self.focused, Input):
            self.shelf.focus()
        else:
            self.dismiss(None)

    def action_act(self, action: str) -> None:
        self.console.act(action)

    def action_compare(self) -> None:
        self.app.push_screen(CompareScreen())

    def action_help(self) -> None:
        from aios_tui.console.screens.help import HelpScreen

        self.app.push_screen(HelpScreen("workloads", keys=[(keys, words) for keys, _, words in KEYS]))

    def _being_read(self, act: Callable[[], None]) -> bool:
        """Whether the list, or the workload pointed at, is still being read; then `act` is done once it is."""
        if self.busy or self.shelf.key in self._summaries:
            return False
        self._once_read = act
        return True

    def action_move(self, where: str) -> None:
        self._once_read = None
        names = {"down": "cursor_down", "up": "cursor_up", "first": "first", "last": "last"}
        getattr(self.shelf, f"action_{names[where]}")()

    def action_edit(self, name: str) -> None:
        self.query_one(f"#{name}", Input).focus()

    def action_next_speed(self) -> None:
        field = self.query_one("#speed", Input)
        place = SPEEDS.index(field.value) + 1 if field.value in SPEEDS else 0
        field.value = SPEEDS[place % len(SPEEDS)]

    def action_toggle_switches(self) -> None:
        self.switches = not self.switches
        self._draw_switches(self.summary)

    @on(Input.Submitted, "#speed")
    def _speed_given(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            speed_of(event.input.value)  # not the event's: of a burst of keys, enter is dealt with before the others
        except UsageError as error:
            self._say(str(error))
        else:
            self._say("")
            self.shelf.focus()

    @on(Input.Submitted, "#path")
    def _path_given(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            entry = catalogue.typed(event.input.value.strip())
        except UsageError as error:
            self._say(str(error))
            return
        self.shelf.point_to(entry)
        self.shelf.focus()

    def action_replay(self) -> None:
        """Read the workload and start it."""
        try:
            speed = speed_of(self.query_one("#speed", Input).value)
        except UsageError as error:
            self._say(str(error))
            return
        if self._being_read(self.action_replay):
            return
        if reason := self.why_not_replay():
            self._say(reason)
        else:
            self._replay(speed)

    @work(exclusive=True, group="actions")
    async def _replay(self, speed: float) -> None:
        entry = self.entry
        if entry is None:
            return
        try:
            workload = await asyncio.to_thread(entry.load)
        except AiosError as error:
            self._say(str(error))
            return
        if reason := self.why_not_replay():  # something else may have begun meanwhile
            self._say(reason)
            return
        self.dismiss(None)
        from aios_tui.console.jobs.replay import start_replay

        start_replay(self.console, workload, speed=speed, switches=self.switches)

    def action_simulate(self) -> None:
        """Run it in virtual time, and compare what came of it."""
        if self._being_read(self.action_simulate):
            return
        if reason := self._why_not_read():
            self._say(reason)
        else:
            self._simulate()

    @work(group="actions")
    async def _simulate(self) -> None:
        entry = self.entry
        if entry is None:
            return
        await self._measure()
        bench = SimulationSetup(max(1, len(self.console.view.shown_slots)), self.measured, self._rounds_of)
        self.busy = f"simulating {one_line(entry.name, 60)} …"
        self._draw()
        try:
            runs = await asyncio.to_thread(catalogue.simulated, entry, bench)
            at = self.console.now()
            kept = [await self.console.runs.keep(entry.file_name, run, at=at) for run in reversed(runs)]
        except AiosError as error:
            self._say(str(error))
            return
        finally:
            self.busy = ""
            if self.is_mounted:
                self._draw()
        if self.is_current:
            self.app.push_screen(CompareScreen(kept[::-1]))
        else:
            self.console.tell(f"{one_line(entry.name, 60)} is simulated; c compares")

    def _rounds_of(self, agent: str) -> int | None:
        try:
            return self.console.runtime.agents.get(agent).round_total
        except AiosError:
            return None
