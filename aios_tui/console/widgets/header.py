"""The header: policy and state, counts, throughput, and the core with its health and the reason for its choice."""

from __future__ import annotations

from collections.abc import Sequence

from aios_tui.console.state.view_state import ViewState
from aios_tui.console.widgets.canvas import Canvas
from aios_tui.console.widgets.cells import fit, plain
from aios_tui.console.widgets.styled_lines import Line, Span, clip, width_of
from aios_tui.formatting import numbers
from engine.cores.port import SlotState
from engine.task import KernelState

STATES: dict[KernelState, tuple[str, str]] = {
    KernelState.RUNNING: ("running", "good"),
    KernelState.PAUSED: ("paused", "warn"),
    KernelState.DRAINING: ("draining", "warn"),
    KernelState.STOPPED: ("stopped", "bad"),
}


REC_NAME = 24
PULL_NAME = 20


class Header(Canvas):
    """Two lines; one on a low screen, where the core shows only its mark and model."""

    def __init__(self) -> None:
        super().__init__(id="header")
        self.view = ViewState()
        self.leaving = False
        self.recording: tuple[str, int] | None = None
        """Name and count of tasks of the present recording."""
        self.pulling: tuple[str, str] | None = None
        """A model that is being pulled, and how far that is."""

    def show(self, view: ViewState) -> None:
        """Draw this state."""
        self.view = view
        self.redraw()

    def build(self, width: int, height: int) -> list[Line]:
        if height < 2:
            state = self._name_and_state()
            named = (state if width >= 60 else state[2:]) + self._mark(named=False)
            return [_ends([named, self._core(short=True)], self._counts(short=width < 96), width)]
        return [self._first(width), self._core_and_throughput(width)]

    def _first(self, width: int) -> Line:
        left = self._name_and_state() + self._mark(named=width >= 112)
        return _ends([left], self._counts_in(width - width_of(left) - 2, short=width < 76), width)

    def _counts_in(self, room: int, *, short: bool) -> list[Span]:
        """Return the counts that fit: shortened to letters first, then without done, then without failed."""
        counts: list[Span] = []
        for letters, without in ((short, ()), (True, ()), (True, ("done",)), (True, ("done", "failed"))):
            counts = self._counts(letters, without)
            if width_of(counts) <= room:
                break
        return counts

    def _core_and_throughput(self, width: int) -> Line:
        """Return core and throughput; if there is no room, the reason for the core is cut."""
        right = self._throughput() if width >= 60 else []
        room = width - width_of(right) - 2 * bool(right)
        left = clip(self._core(short=False), room)
        return (*left, (" " * (width - width_of(left) - width_of(right)), ""), *right)

    def _name_and_state(self) -> list[Span]:
        view = self.view
        spans: list[Span] = [("aios-tui", "strong"), ("  ", "")]
        if self.leaving:
            return [*spans, ("stopping", "warn")]
        if view.trouble is not None:
            return [*spans, ("no core", "bad")]
        if view.kernel is None:
            return [*spans, ("starting", "dim")]
        word, style = STATES[view.kernel]
        return [*spans, (numbers.policy(view.policy), "primary"), (" · ", "dim"), (word, style)]

    def _mark(self, named: bool) -> list[Span]:
        """Return the marks of a recording, with its count of tasks, and of a pull, with its progress."""
        spans: list[Span] = []
        if self.pulling is not None:
            model, far = self.pulling
            spans = [("   ↓ ", "accent"), (f"{fit(plain(model), PULL_NAME).rstrip()} " if named else "", ""), (far, "")]
        if self.recording is None:
            return spans
        name, count = self.recording
        return [
            *spans,
            ("   ● REC", "bad"),
            (f" {fit(plain(name), REC_NAME).rstrip()}" if named else "", ""),
            (f" {count:,}", ""),
        ]

    def _counts(self, short: bool, without: Sequence[str] = ()) -> list[Span]:
        view, counts = self.view, self.view.counts
        shown = [
            (view.queued, "queued", "", True),
            (view.running, "running", "accent" if view.running else "", True),
            (counts.done, "done", "good" if counts.done else "", True),
            (counts.failed, "failed", "bad" if counts.failed else "", True),
            (counts.cancelled, "cancelled", "", counts.cancelled > 0 and not short),
        ]
        spans: list[Span] = []
        for number, word, style, wanted in shown:
            if wanted and word not in without:
                gap = "  " if spans else ""
                spans += [(f"{gap}{number:,}", style), (f" {word[0]}" if short else f" {word}", "dim")]
        return spans

    def _throughput(self) -> list[Span]:
        view = self.view
        per_minute, per_second = view.meters.tasks_per_minute(view.now), view.meters.tokens_per_s(view.now)
        return [
            (numbers.rate(per_minute), ""),
            (" tasks/min  ", "dim"),
            (numbers.rate(per_second), ""),
            (" tok/s", "dim"),
        ]

    def _core(self, short: bool) -> list[Span]:
        view = self.view
        if view.trouble is not None:
            return [("✗ ", "bad"), (plain(view.trouble), "bad")]
        if not view.cores:
            return [("◌ ", "dim"), ("the core is starting; look around, or read ? meanwhile", "dim")]
        if len(view.cores) > 1:
            return _several(view, short)
        spans: list[Span] = []
        for info in view.cores.values():
            spans.append(("● ", "good") if info.healthy else ("✗ ", "bad"))
            if short:
                spans.append((plain(info.default_model or info.name), ""))
                continue
            spans += [
                (plain(info.name), ""),
                (f" {plain(info.default_model)}" if info.default_model else "", "primary"),
            ]
            if not info.healthy and info.detail:
                spans.append((f"  {plain(info.detail)}", "bad"))
            if info.why:
                spans.append((f"  {plain(info.why)}", "dim"))
        return spans


def _several(view: ViewState, short: bool) -> list[Span]:
    """Return each core's name and health; then, where there is room, the reasons of those that are down."""
    cores = list(view.cores.values())
    spans: list[Span] = []
    for info in cores:
        mark: Span = ("●", "good") if info.healthy else ("○", "bad")
        spans += [("  " if spans else "", ""), (plain(info.name), ""), (" ", ""), mark]
    down = [] if short else [info for info in cores if not info.healthy]
    if len(down) == len(cores) and not any(slot.state is SlotState.UP for slot in view.slots.values()):
        spans.append(("  no core is up; tasks wait", "bad"))
    for info in down:
        if info.detail:
            spans.append((f"  {plain(info.name)}: {plain(info.detail)}", "bad"))
    return spans


def _ends(left: list[list[Span]], right: list[Span], width: int) -> Line:
    """Lay groups at the left and one at the right; without room, only the first group, then not the right one."""
    for groups in (left, left[:1]):
        joined = _joined(groups)
        gap = width - width_of(joined) - width_of(right)
        if gap >= 2:
            return clip([*joined, (" " * gap, ""), *right], width)
    return clip(_joined(left[:1]), width)


def _joined(groups: list[list[Span]]) -> list[Span]:
    spans: list[Span] = []
    for group in groups:
        spans += [("   ", ""), *group] if spans else group
    return spans
