"""How a lane is drawn: one slot, the attempt on it and the end of its stream."""

from __future__ import annotations

from aios_tui.bridge.state import LaneView, ViewState
from aios_tui.widgets import words
from aios_tui.widgets.cells import fit, wrap_tail
from aios_tui.widgets.ink import Line, Span, clip
from engine.cores.port import SlotState

INDENT = 3


def heights(lanes: list[LaneView], room: int) -> list[int]:
    """How many lines each lane gets: one for an idle one, the rest shared evenly among those that run."""
    if not lanes:
        return []
    active = [lane.task is not None for lane in lanes]
    spare = max(0, room - len(lanes))
    share, over = divmod(spare, sum(active)) if any(active) else (0, 0)
    out = []
    for runs in active:
        extra = share + (1 if over > 0 else 0) if runs else 0
        over -= runs
        out.append(1 + extra)
    return out


def draw_lane(lane: LaneView, view: ViewState, width: int, height: int) -> list[Line]:
    """A lane in exactly `height` lines."""
    lines: list[Line] = [clip(_head(lane, view, width), width)]
    if lane.task is not None and height > 1:
        lines += _body(lane, width, height - 1)
    return (lines + [()] * height)[:height]


def _head(lane: LaneView, view: ViewState, width: int) -> list[Span]:
    if lane.state is SlotState.DOWN:
        return [("✗ ", "bad"), (f"{lane.slot}  ", "dim"), (f"down  {lane.reason}", "bad")]
    if lane.task is None:
        mark, word = ("◌", "idle") if lane.state is SlotState.UP else ("◍", lane.state.value)
        spans = [(f"{mark} ", "dim"), (f"{lane.slot}  ", "dim"), (word, "dim")]
        if lane.reason and lane.state is not SlotState.UP:
            spans.append((f"  {lane.reason}", "warn"))
        return spans
    spans = [
        ("● ", "good" if lane.state is SlotState.UP else "warn"),
        (f"#{lane.task} ", "strong"),
        (lane.agent, "primary"),
    ]
    facts = [f"round {words.rounds(lane.round, lane.round_total)}", words.clock(view.now - lane.started_at)]
    if lane.attempt > 1:
        facts.insert(1, f"try {lane.attempt}")
    if lane.ttft_s is not None:
        facts += [f"{words.rate(lane.tokens_per_s)} tok/s", f"TTFT {lane.ttft_s:.2f}", f"{lane.tokens:,} tok"]
    used = sum(len(text) for text, _ in spans)
    for fact in facts:
        if used + 2 + len(fact) > width:
            continue
        spans.append((f"  {fact}", "dim"))
        used += 2 + len(fact)
    return spans


def _body(lane: LaneView, width: int, height: int) -> list[Line]:
    inner = width - INDENT
    indent = " " * INDENT
    if lane.talking:
        tail = wrap_tail(lane.text, inner, height, lane.dropped)
        return [((indent, ""), (fit(text, inner), "")) for text in tail]
    if lane.thinking:
        tail = wrap_tail(lane.thinking, inner, height, lane.thinking_dropped)
        return [((indent, ""), (fit(text, inner), "thinking")) for text in tail]
    if lane.to_read:
        return [clip([(indent, ""), *_reading(lane, inner)], width)]
    return [clip([(indent, ""), ("waiting for the first token", "dim")], width)]


def _reading(lane: LaneView, width: int) -> list[Span]:
    share = min(1.0, lane.read / lane.to_read)
    words_ = f"reading prompt {lane.read:,}/{lane.to_read:,}"
    bar = max(0, min(24, width - len(words_) - 2))
    full = round(bar * share)
    return [(f"{words_}  ", "dim"), ("━" * full, "bar"), ("─" * (bar - full), "off")]
