"""The main screen: queue, activity and results, with a header above and the quick line and footer below."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import DescendantBlur, DescendantFocus, Resize
from textual.geometry import Size
from textual.widgets import Input

from aios_tui.console.action_context import Pane as PaneName
from aios_tui.console.screens.base import ConsoleScreen
from aios_tui.console.state.ports import ConsoleRuntime
from aios_tui.console.state.view_state import Changes, ViewState
from aios_tui.console.widgets.activity import ActivityView
from aios_tui.console.widgets.footer import Footer
from aios_tui.console.widgets.header import Header
from aios_tui.console.widgets.line_list import LineList
from aios_tui.console.widgets.pane import Pane
from aios_tui.console.widgets.queue import QueueList
from aios_tui.console.widgets.quick_line import QuickLine
from aios_tui.console.widgets.replay_line import ReplayLine
from aios_tui.console.widgets.results import ResultList
from aios_tui.formatting import numbers
from engine.sanitise import one_line
from engine.wording import plural

ORDER: tuple[PaneName, ...] = ("queue", "activity", "results")
SAMPLE_S = 2.0
NOTICED_S = 1.0
"""Seconds after which an operator has seen that the selection moved."""


class MainScreen(ConsoleScreen[None]):
    """From 100 columns on, two panes are above one; below that they are stacked; very small screens show one pane."""

    AUTO_FOCUS = "#queue"
    SCOPE = "main"
    CSS_PATH = None  # the app has its styles, for the first frame

    def __init__(self) -> None:
        super().__init__(id="main")
        self.pane: PaneName = "queue"
        self.queue_list = QueueList()
        self.activity = ActivityView()
        self.result_list = ResultList()
        self.panes: dict[PaneName, Pane] = {
            "queue": Pane("queue", 1, self.queue_list),
            "activity": Pane("activity", 2, self.activity),
            "results": Pane("results", 3, self.result_list),
        }
        self.header = Header()
        self.footer = Footer()
        self.replay_line = ReplayLine()
        self.quick_line = QuickLine()

    def compose(self) -> ComposeResult:
        yield self.header
        with Container(id="panes"):
            yield from self.panes.values()
        yield self.replay_line
        yield self.quick_line
        yield self.footer

    def on_mount(self) -> None:
        self.console.frames.subscribe(self, self.on_frame)
        self.set_interval(SAMPLE_S, self._sample)
        self.call_after_refresh(self._sample)
        self.panes["queue"].add_class("-current")
        self._fit(self.app.size)  # at once, so that the first frame is laid out like all later ones
        self.on_frame(Changes(everything=True))

    # Drawing

    def on_frame(self, changes: Changes) -> None:
        """Give the view state to each pane that it changed for."""
        view = self.console.view
        if changes.header or changes.clock or changes.everything or changes.cores:
            self.header.leaving = self.console.leaving
            self.header.recording = _recording(self.console.runtime)
            self.header.pulling = self.console.model_jobs.pull_summary()
            self.header.show(view)
            replaying = self.console.replaying
            self.replay_line.show(None if replaying is None else replaying.view)
        if changes.queue or changes.clock or changes.everything:
            self.queue_list.show(view)
            self.panes["queue"].set_summary(_queue_summary(view, self.queue_list))
        if changes.slots or changes.cores or changes.clock or changes.everything:
            self.activity.show(view)
            self.panes["activity"].set_summary(_activity_summary(view))
        if changes.results or changes.everything:
            self.result_list.show(view)
            self.panes["results"].set_summary(_results_summary(view, self.result_list))
        if changes.header or changes.queue or changes.slots or changes.results or changes.everything:
            self.show_footer()

    def show_footer(self) -> None:
        """Draw the footer for the present selection and focus."""
        if self.is_mounted:
            self.footer.show(self.console.action_context(), self._enter_label())

    def _enter_label(self) -> str:
        """Label of the enter key while an input has the focus; otherwise empty."""
        if not isinstance(self.focused, Input):
            return ""
        return "submit" if self.focused is self.quick_line.input else "done"

    def _sample(self) -> None:
        self.console.background(self._read_telemetry, group="telemetry", exclusive=True)

    async def _read_telemetry(self) -> None:
        sample = await asyncio.to_thread(self.console.runtime.telemetry.sample)
        if sample != self.activity.sample:
            self.activity.sample = sample
            self.activity.redraw()

    # Selection and focus

    @property
    def selected(self) -> int | None:
        """The task selected in the current pane."""
        if self.pane == "activity":
            return self.activity.selected
        return cast(LineList, self.panes[self.pane].body).cursor_key

    def moved_selection(self) -> tuple[int, int] | None:
        """If the selected task left the queue by itself a moment ago: its id, and the id selected now; else None."""
        rows = self.queue_list
        moved, rows.moved = rows.moved, None
        return moved if self.pane == "queue" and monotonic() - rows.moved_at < NOTICED_S else None

    def focus_pane(self, name: str) -> None:
        """Go to a pane by name, at once: a key that follows is meant for it."""
        self.set_focus(self.panes[cast(PaneName, name)].body)
        self._follow_focus()

    def cycle_pane(self, step: int) -> None:
        """Go to the next pane, or the previous one."""
        self.focus_pane(ORDER[(ORDER.index(self.pane) + step) % len(ORDER)])

    def begin_typing(self) -> None:
        """Go to the quick line, at once: keys or a paste may be on their way already."""
        self.add_class("-typing")
        self.set_focus(self.quick_line.input)

    def open_filter(self) -> None:
        """Open the current pane's filter."""
        self.panes[self.pane].open_filter()

    def toggle_zoom(self) -> None:
        """Zoom the current pane to the whole screen, or back."""
        self.toggle_class("-zoom")

    def step_back(self) -> None:
        """Undo one thing: leave an input, clear the filter, then end the zoom."""
        pane = self.panes[self.pane]
        filtered = bool(pane.body.needle)
        if self.focused not in (pane.body, pane.filter_input) or pane.close_filter(clear=True) or filtered:
            self.set_focus(pane.body)
        else:
            self.remove_class("-zoom")

    def on_descendant_focus(self, _: DescendantFocus) -> None:
        self._follow_focus()

    def _follow_focus(self) -> None:
        """Make the focused pane the current one. The event's widget may have lost the focus again."""
        for name, pane in self.panes.items():
            if self.focused is not None and pane in self.focused.ancestors:
                self.pane = name
                for other in self.panes.values():
                    other.set_class(other is pane, "-current")
        self.show_footer()

    def on_descendant_blur(self, _: DescendantBlur) -> None:
        self.set_class(isinstance(self.focused, Input), "-typing")

    def on_resize(self, event: Resize) -> None:
        self._fit(event.size)

    def _fit(self, size: Size) -> None:
        """Choose the layout for a size."""
        width, height = size
        one = width < 50 or height < 15
        self.set_class(one, "-one")
        self.set_class(not one and width >= 100, "-wide")
        self.set_class(height < 20, "-low")

    # Messages of the panes

    @on(LineList.Pointed)
    def _pointed(self) -> None:
        self.show_footer()

    @on(LineList.Opened)
    def _opened(self, event: LineList.Opened) -> None:
        self.console.act("open", event.key)

    @on(Footer.Chosen)
    def _chosen(self, event: Footer.Chosen) -> None:
        self.console.act(event.action)

    @on(Pane.Filtered)
    def _filtered(self) -> None:
        self.on_frame(Changes(everything=True))

    @on(QuickLine.Left)
    def _left(self) -> None:
        if self.focused is self.quick_line.input:  # a key after enter may have moved the focus already
            self.focus_pane(self.pane)

    @on(QuickLine.Submitted)
    def _submitted(self, event: QuickLine.Submitted) -> None:
        self.console.submit([event.spec])


def _recording(runtime: ConsoleRuntime) -> tuple[str, int] | None:
    """Return the name and task count of the recording; None when nothing is recorded."""
    path = runtime.recording
    return None if path is None else (one_line(path.name.removesuffix(".jsonl"), 60), runtime.recorded)


def _queue_summary(view: ViewState, rows: QueueList) -> str:
    order = view.order
    held = f", {order.held:,} held" if order.held else ""
    since = order.oldest()
    if since is None:
        return f"none ready{held}"
    oldest = f", oldest {numbers.clock(view.now - since)}"
    if held and rows.needle:  # a filter also shows held tasks
        return f"{_shown(len(order), rows)} queued{held}{oldest}"
    return f"{_shown(order.ready, rows)} ready{held}{oldest}"


def _activity_summary(view: ViewState) -> str:
    lanes = view.shown_slots
    busy, slots = sum(1 for lane in lanes if lane.task is not None), len(lanes)
    return f"{busy} of {plural(slots, 'slot')} busy" if slots else ""


def _results_summary(view: ViewState, rows: ResultList) -> str:
    return f"{_shown(len(view.results), rows)}, newest first" if view.results else ""


def _shown(total: int, rows: LineList) -> str:
    """The number of rows; with a filter, also how many of them are shown."""
    return f"{rows.count():,} of {total:,}" if rows.needle else f"{total:,}"
