"""The line with the progress of a live replay, and the keys that control it."""

from __future__ import annotations

from aios_tui.console.actions import BY_ID
from aios_tui.console.state.replay_view import ReplayView, speed_text
from aios_tui.console.widgets.canvas import Canvas
from aios_tui.console.widgets.cells import cell_len, fit, plain
from aios_tui.console.widgets.styled_lines import Line, Span, clip, width_of
from aios_tui.formatting import numbers

NAME = 28
CONTROLS = (
    ("pause", "replay_pause"),
    ("next", "replay_step"),
    ("speed", "replay_slower", "replay_faster"),
    ("stop", "replay_stop"),
)


class ReplayLine(Canvas):
    """One line, shown only during a replay."""

    def __init__(self) -> None:
        super().__init__(id="replay")
        self.display = False
        self._replay: ReplayView | None = None

    def show(self, replay: ReplayView | None) -> None:
        """Draw this replay; hide for None."""
        self._replay = replay
        self.display = replay is not None
        self.redraw()

    def build(self, width: int, height: int) -> list[Line]:
        replay = self._replay
        if replay is None:
            return []
        left = _progress(replay, width)
        for right in (_keys(), _keys(bare=True)):
            gap = width - width_of(left) - width_of(right)
            if gap >= 2:
                return [(*left, (" " * gap, ""), *right)]
        return [clip(left, width)]


def _progress(replay: ReplayView, width: int) -> list[Span]:
    name, small = plain(replay.name), width < 60
    room = NAME if width >= 100 else 14
    spans: list[Span] = [
        ("‖ " if replay.paused else "▶ ", "warn" if replay.paused else "accent"),
        (fit(name, room) if cell_len(name) > room else name, "strong"),
        (f"  {replay.sent:,}/{replay.total:,}", ""),
        ("" if small else " sent", "dim"),
        (f"  {replay.ended:,}", ""),
        ("" if small else " ended", "dim"),
    ]
    if replay.failed:
        spans += [(f"  {replay.failed:,}", "bad"), ("✗" if small else " failed", "bad" if small else "dim")]
    if not small:
        spans += [(f"  {numbers.clock(replay.elapsed)}", "")]
    if width >= 100 and not replay.all_sent:
        spans += [(f"  at {numbers.clock(replay.position)} of {numbers.clock(replay.span)}", "dim")]
    if replay.paused and not replay.all_sent:
        spans += [("  paused", "warn")]
    else:
        spans += [(f"  {speed_text(replay.speed)}" if not replay.all_sent else "  all sent", "primary")]
    return spans


def _keys(bare: bool = False) -> list[Span]:
    spans: list[Span] = []
    for word, *actions in CONTROLS:
        keys = "/".join(BY_ID[action].shown_key for action in actions)
        spans += [("  " if spans else "", ""), (keys, "key"), ("" if bare else f" {word}", "dim")]
    return spans
