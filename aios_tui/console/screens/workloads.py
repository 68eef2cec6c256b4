"""The workloads screen: choose a workload, see what it holds, replay it into this kernel or simulate it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus, Resize
from textual.geometry import Size
from textual.widgets import Input, OptionList, Static

from aios_tui.console.actions import BY_ID
from aios_tui.console.jobs.replay import speed_of
from aios_tui.console.screens.base import ConsoleScreen, field, move
from aios_tui.console.screens.compare import CompareScreen
from aios_tui.console.widgets.hint_bar import Flow, Hints, hint
from aios_tui.console.widgets.inputs import NameInput
from aios_tui.console.widgets.workload_list import WorkloadDetails, WorkloadList
from aios_tui.console.widgets.workload_summary import head_of, switches_text
from aios_tui.workloads import catalogue
from aios_tui.workloads.calibration import ASSUMED, NEWEST, newest_or_assumed, rates_text
from aios_tui.workloads.catalogue import CatalogueEntry
from aios_tui.workloads.simulation import SimulationSetup, round_counter, simulate_policies
from engine.errors import AiosError, UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.workloads.summary import Summary

SPEEDS = ("1", "2", "10", "max")


class WorkloadScreen(ConsoleScreen[None]):
    """Lists the samples and the files in `folder`; reads the selected one in the background."""

    AUTO_FOCUS = "#shelf"
    SCOPE = "workloads"

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.folder = folder
        self.switches = True
        self.busy = ""
        self.measured = ASSUMED
        self._after_reading: Callable[[], None] | None = None
        self._summaries: dict[str, Summary | str] = {}

    @property
    def shelf(self) -> WorkloadList:
        return self.query_one(WorkloadList)

    @property
    def entry(self) -> CatalogueEntry | None:
        """The selected workload."""
        return self.shelf.entry

    @property
    def summary(self) -> Summary | None:
        """The summary of the selected workload, once it is read."""
        found = self._summaries.get(self.shelf.key)
        return None if isinstance(found, str) else found

    def compose(self) -> ComposeResult:
        yield Flow(id="head", gap=2)
        with Container(id="both"):
            yield WorkloadList()
            yield WorkloadDetails()
        advice = "i: the path of another workload file; enter adds it"
        yield field("file", NameInput(id="path", compact=True, placeholder=advice), id="path-field")
        speed = Input("1", id="speed", compact=True, max_length=12)
        speed.cursor_blink = False
        pace = Static("× the recorded pace; max: full speed", classes="note", markup=False)
        yield field("speed", speed, pace)
        note = Static("", id="switches-note", classes="note", markup=False)
        yield field("switches", Static("", id="switches", markup=False), note)
        yield field("rates", Static("", id="rates", markup=False), id="rates-field")
        yield Static("", id="problem", classes="-none", markup=False)
        yield Hints()

    def on_mount(self) -> None:
        self._fit(self.app.size)
        self._list()

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _focus_moved(self) -> None:
        self.draw_hints()

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
        self.shelf.show(catalogue.packaged(), self.folder, files)
        self._draw()

    async def _measure(self) -> None:
        """Measure the models' speed from the history, for simulations; unknown speeds stay assumed."""
        try:
            self.measured = newest_or_assumed(await self.console.runtime.history.timings(NEWEST))
        except AiosError as error:
            self._show_problem(str(error))
        rates = f"{rates_text(self.measured.service.rates)}  {self.measured.origin}"
        self.query_one("#rates", Static).update(Content(rates))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        self._show_problem("")
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
        action, self._after_reading = self._after_reading, None
        if action is not None:
            action()

    # Drawing

    def _draw(self) -> None:
        entry, found = self.entry, self._summaries.get(self.shelf.key)
        self.query_one("#head", Flow).update(head_of(entry, self.busy))
        self.query_one(WorkloadDetails).show(entry, found)
        self._draw_switches(self.summary)
        self.draw_hints()

    def _draw_switches(self, summary: Summary | None) -> None:
        self.query_one("#switches", Static).update(Content("on" if self.switches else "off"))
        self.query_one("#switches-note", Static).update(Content(switches_text(summary, self.switches)))

    def draw_hints(self) -> None:
        if not isinstance(self.focused, Input):
            super().draw_hints()
            return
        enter = "add the file to the list" if self.focused.id == "path" else "use the speed"
        self.query_one(Hints).update([hint("enter", enter), hint("esc", "back to the list")])

    def is_available(self, action: str) -> bool:
        if action == "open":
            return self.why_not_replay() is None
        return action != "simulate" or self._why_not_read() is None

    def _show_problem(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(Content(one_line(text, 300)))
        problem.set_class(not text, "-none")

    # What keys do

    def _why_not_read(self) -> str | None:
        if self.busy:
            return self.busy
        found = self._summaries.get(self.shelf.key)
        if self.entry is None:
            return "no workload is selected"
        if isinstance(found, str):
            return found
        if found is None:
            return "the workload is still being read"
        return None if found.tasks else "the workload has no tasks"

    def why_not_replay(self) -> str | None:
        """Return the reason why the workload can't be replayed now, or None."""
        context = self.console.action_context()
        if context.replay is not None:
            stop = BY_ID["replay_stop"].shown_key
            return f"{context.replay.name} is being replayed; {stop} on the main screen stops it"
        return BY_ID["new"].why_not(context) or self._why_not_read()

    def action_leave(self) -> None:
        """Leave an input field for the list, and the list for the main screen."""
        if isinstance(self.focused, Input):
            self.shelf.focus()
        else:
            self.dismiss(None)

    def _do_after_reading(self, action: Callable[[], None]) -> bool:
        """If the selected workload is still being read, run `action` afterwards and return True."""
        if self.busy or self.shelf.key in self._summaries:
            return False
        self._after_reading = action
        return True

    def action_move(self, direction: str) -> None:
        self._after_reading = None
        move(self.shelf, direction)

    def action_edit(self, name: str) -> None:
        self.query_one(f"#{name}", Input).focus()

    def action_change_speed(self, step: int) -> None:
        speed = self.query_one("#speed", Input)
        index = SPEEDS.index(speed.value) + step if speed.value in SPEEDS else 0
        speed.value = SPEEDS[max(0, min(index, len(SPEEDS) - 1))]

    def action_toggle_switches(self) -> None:
        self.switches = not self.switches
        self._draw_switches(self.summary)

    @on(Input.Submitted, "#speed")
    def _speed_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            speed_of(event.input.value)  # not the event's value: in a burst of keys, enter is handled before the others
        except UsageError as error:
            self._show_problem(str(error))
        else:
            self._show_problem("")
            self.shelf.focus()

    @on(Input.Submitted, "#path")
    def _path_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            entry = catalogue.at_path(event.input.value.strip())
        except UsageError as error:
            self._show_problem(str(error))
            return
        self.shelf.point_to(entry)
        self.shelf.focus()

    def action_replay(self) -> None:
        """Read the workload and start it."""
        try:
            speed = speed_of(self.query_one("#speed", Input).value)
        except UsageError as error:
            self._show_problem(str(error))
            return
        if self._do_after_reading(self.action_replay):
            return
        if reason := self.why_not_replay():
            self._show_problem(reason)
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
            self._show_problem(str(error))
            return
        if reason := self.why_not_replay():  # another replay may have started meanwhile
            self._show_problem(reason)
            return
        self.dismiss(None)
        from aios_tui.console.jobs.replay import start_replay

        start_replay(self.console, workload, speed=speed, switches=self.switches)

    def action_simulate(self) -> None:
        """Simulate the workload in virtual time, and compare the runs."""
        if self._do_after_reading(self.action_simulate):
            return
        if reason := self._why_not_read():
            self._show_problem(reason)
        else:
            self._simulate()

    @work(group="actions")
    async def _simulate(self) -> None:
        entry = self.entry
        if entry is None:
            return
        await self._measure()
        rounds_of = round_counter(self.console.runtime.agents)
        setup = SimulationSetup(max(1, len(self.console.view.shown_slots)), self.measured, rounds_of=rounds_of)
        self.busy = f"simulating {one_line(entry.name, 60)} …"
        self._draw()
        try:
            runs = await asyncio.to_thread(simulate_policies, entry, setup)
            at = self.console.now()
            saved = [await self.console.runs.keep(entry.file_name, run, at=at) for run in reversed(runs)]
        except AiosError as error:
            self._show_problem(str(error))
            return
        finally:
            self.busy = ""
            if self.is_mounted:
                self._draw()
        if self.is_current:
            self.app.push_screen(CompareScreen(saved[::-1]))
        else:
            self.console.notify(f"{one_line(entry.name, 60)} is simulated; c compares the runs")
