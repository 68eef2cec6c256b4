"""The footer: the actions available here, from the action table, or for some seconds a notice."""

from __future__ import annotations

from dataclasses import dataclass

from textual.events import Click
from textual.message import Message
from textual.timer import Timer

from aios_tui.console.action_context import ActionContext
from aios_tui.console.actions import BY_ID, MAIN, Action
from aios_tui.console.widgets.canvas import Canvas
from aios_tui.console.widgets.cells import cell_len
from aios_tui.console.widgets.styled_lines import Line, Span, clip

NOTICE_S = {"information": 4.0, "warning": 5.0, "error": 10.0}
NOTICE_STYLE = {"information": "accent", "warning": "warn", "error": "bad"}


def _typing(enter: str) -> list[Span]:
    return [("enter", "key"), (f" {enter}  ", "dim"), ("esc", "key"), (" back", "dim")]


KEPT = frozenset({"help", "palette", "leave"})
"""Actions that stay when there is little room."""
GAP = 2
SIGN = "▪ "


def _key(action: Action) -> str:
    return f"{action.shown_key}/{BY_ID[action.pair].shown_key}" if action.pair else action.shown_key


class Footer(Canvas):
    """One line. Unavailable actions are dim; a click acts like the key."""

    @dataclass
    class Chosen(Message):
        """An action was clicked."""

        action: str

    def __init__(self) -> None:
        super().__init__(id="footer")
        self.context: ActionContext | None = None
        self.typing = ""
        self.notice: tuple[str, str] | None = None
        self._timer: Timer | None = None
        self._places: list[tuple[int, int, str]] = []

    def show(self, context: ActionContext, typing: str) -> None:
        """Draw the actions of this context; `typing` is the label of enter while keys go into an input."""
        self.context, self.typing = context, typing
        self.redraw()

    def has_room_for(self, text: str) -> bool:
        """Return True if the whole notice fits."""
        return cell_len(SIGN + text) <= self.size.width

    def show_notice(self, text: str, severity: str) -> None:
        """Show a notice in place of the actions, for some seconds."""
        self.notice = (text, NOTICE_STYLE[severity])
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(NOTICE_S[severity], self.clear)
        self.redraw()

    def clear(self) -> None:
        """Remove the notice."""
        self.notice = None
        self.redraw()

    def build(self, width: int, height: int) -> list[Line]:
        self._places = []
        if self.notice is not None:
            text, style = self.notice
            return [clip([(SIGN, style), (text, style)], width)]
        if self.context is None:
            return []
        if self.typing:
            return [clip(_typing(self.typing), width)]
        return [self._actions(self.context, width)]

    def _actions(self, now: ActionContext, width: int) -> Line:
        """Return as many actions as fit; those with the highest numbers are dropped first, KEPT ones last."""
        shown = (
            action for action in MAIN if action.footer and not (action.offered and action.why_not(now) is not None)
        )
        listed = sorted(shown, key=lambda action: action.footer or 0)
        items = [(action, _key(action), action.label_now(now)) for action in listed]
        sizes = {action.id: cell_len(key) + 1 + cell_len(label) + GAP for action, key, label in items}
        total = sum(sizes.values()) - GAP
        for action in sorted(listed, key=lambda action: (action.id in KEPT, -(action.footer or 0))):
            if total <= width:
                break
            total -= sizes.pop(action.id)
        spans: list[Span] = []
        x = 0
        for action, key, label in items:
            if action.id not in sizes:
                continue
            can = action.why_not(now) is None or bool(action.pair and BY_ID[action.pair].why_not(now) is None)
            gap = " " * GAP if spans else ""
            spans += [(gap + key, "key" if can else "off"), (f" {label}", "dim" if can else "off")]
            end = x + cell_len(gap + key) + 1 + cell_len(label)
            self._places.append((x, end, action.id))
            x = end
        return clip(spans, width)

    def on_click(self, event: Click) -> None:
        position = event.get_content_offset(self)
        if self.notice is not None:
            self.clear()
        elif position is not None:
            for start, end, action in self._places:
                if start <= position.x < end:
                    self.post_message(self.Chosen(action))
                    return
