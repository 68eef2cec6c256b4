"""The activity pane: each slot with its stream, recent figures of its core, and the load of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.events import Click

from aios_tui.console.screen_keys import bindings
from aios_tui.console.state.view_state import SlotView, ViewState
from aios_tui.console.widgets.activity_layout import ActivityLayout, plan_for
from aios_tui.console.widgets.canvas import Canvas
from aios_tui.console.widgets.field_lines import cut
from aios_tui.console.widgets.line_list import LineList
from aios_tui.console.widgets.slot_lines import draw_slot
from aios_tui.console.widgets.styled_lines import Line

if TYPE_CHECKING:
    from engine.telemetry import TelemetrySample


class ActivityView(Canvas, can_focus=True):
    """Slots, cores and machine. The cursor is on a slot; its task is the selected one."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("lines")

    def __init__(self, *, id: str = "activity") -> None:
        super().__init__(id=id)
        self.view = ViewState()
        self.sample: TelemetrySample | None = None
        self.needle = ""
        self.cursor = 0
        self._spans: list[tuple[int, int]] = []
        """(index of the slot, the line after its last) of each slot shown."""

    def show(self, view: ViewState) -> None:
        """Draw this state; call it whenever a slot, a core or the clock changed."""
        self.view = view
        self.redraw()

    @property
    def slots(self) -> list[SlotView]:
        """The slots that match the filter."""
        needle = self.needle.casefold()
        slots = self.view.shown_slots
        return (
            [slot for slot in slots if needle in f"{slot.id} {slot.agent} #{slot.task}".casefold()] if needle else slots
        )

    @property
    def selected(self) -> int | None:
        """The task on the slot under the cursor."""
        slots = self.slots
        return slots[min(self.cursor, len(slots) - 1)].task if slots else None

    def action_move(self, how: str) -> None:
        """Move to another slot."""
        last = len(self.slots) - 1
        steps = {"down": 1, "up": -1, "page_down": 4, "page_up": -4, "top": -last - 1, "bottom": last + 1}
        self.cursor = max(0, min(last, self.cursor + steps[how]))
        self.redraw()
        self.post_message(LineList.Pointed(self.selected))

    def build(self, width: int, height: int) -> list[Line]:
        self._spans = []
        slots = self.slots
        self.cursor = max(0, min(self.cursor, len(slots) - 1))
        plan = plan_for(self.view, slots, self.sample, width, height)
        lines: list[Line] = []
        if not slots:
            lines.append(((cut(self._empty_text(), width), "dim"),))
        elif plan.scrolls:
            first = max(0, min(self.cursor - plan.room + 1, len(slots) - plan.room))
            self._draw(lines, slots[first : first + max(1, plan.room)], first, plan, width)
        else:
            number = 0
            for block in plan.blocks:
                lines += [entry.line for entry in block.head]
                self._draw(lines, block.slots, number, plan, width)
                number += len(block.slots)
        foot = [entry.line for entry in plan.foot]
        return lines + [()] * (height - len(lines) - len(foot)) + foot

    def _draw(self, lines: list[Line], slots: list[SlotView], first: int, plan: ActivityLayout, width: int) -> None:
        """Append the lines of these slots, the first of which has index `first`."""
        for number, slot in enumerate(slots, first):
            if number == self.cursor and self.has_focus:
                self.bases[len(lines)] = "cursor"
            height = 1 if plan.scrolls else plan.heights[slot.id]
            lines += draw_slot(slot, self.view, width, height, named=plan.named, titled=plan.titled)
            self._spans.append((number, len(lines)))

    def _empty_text(self) -> str:
        if self.view.trouble is not None:
            return "No core is running. ctrl+p, Restart tries again."
        if self.needle:
            return "No slot matches."
        return "The core is starting …" if self.view.kernel is None else "No slots."

    def on_click(self, event: Click) -> None:
        position = event.get_content_offset(self)
        if position is None:
            return
        for number, end in self._spans:
            if position.y < end:
                self.cursor = number
                self.redraw()
                self.post_message(LineList.Pointed(self.selected))
                if event.chain == 2 and self.selected is not None:
                    self.post_message(LineList.Opened(self.selected))
                return

    def on_focus(self) -> None:
        self.call_next(self.redraw)  # `has_focus` is set only after this handler

    def on_blur(self) -> None:
        self.call_next(self.redraw)
