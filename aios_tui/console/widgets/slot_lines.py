"""How a lane is drawn: one slot, the attempt on it and the end of its stream."""

from __future__ import annotations

from aios_tui.console.state.view_state import SlotView, ViewState
from aios_tui.console.widgets.cells import fit, plain, wrap_tail
from aios_tui.console.widgets.field_lines import field, fill, width_of
from aios_tui.console.widgets.sparkline import strip
from aios_tui.console.widgets.styled_lines import Line, Span, clip
from aios_tui.formatting import numbers
from engine.cores.port import SlotState

INDENT = 3
STRIP = 30


def heights(lanes: list[SlotView], room: int) -> list[int]:
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


def draw_lane(
    lane: SlotView, view: ViewState, width: int, height: int, *, named: bool = False, told: bool = False
) -> list[Line]:
    """A lane in exactly `height` lines. `named`: with its slot; `told`: why its core is down stands elsewhere."""
    head = _head(lane, view, width, named=named, told=told)
    lines: list[Line] = [_with_strip(clip(head, width), lane, view, width)]
    if lane.task is not None and height > 1:
        lines += _body(lane, width, height - 1)
    return (lines + [()] * height)[:height]


def _with_strip(head: Line, lane: SlotView, view: ViewState, width: int) -> Line:
    """The lane's tokens per second over the last five minutes at the end of its line, where there is room."""
    used, rates = width_of(head), view.meters.slot_strip(lane.slot, view.now)
    bars = strip(rates, min(STRIP, width - used - 2), view.now) if any(rates) else []
    return (*head, (" " * (width - used - width_of(bars)), ""), *bars) if bars else head


def _head(lane: SlotView, view: ViewState, width: int, *, named: bool, told: bool) -> list[Span]:
    slot = plain(lane.slot)
    if lane.state is SlotState.DOWN:
        return [("✗ ", "bad"), (f"{slot}  ", "dim"), ("down" if told else f"down  {lane.reason}", "bad")]
    if lane.task is None:
        mark, word = ("◌", "idle") if lane.state is SlotState.UP else ("◍", lane.state.value)
        spans = [(f"{mark} ", "dim"), (f"{slot}  ", "dim"), (word, "dim")]
        if lane.reason and lane.state is not SlotState.UP and not told:
            spans.append((f"  {lane.reason}", "warn"))
        return spans
    spans = [
        ("● ", "good" if lane.state is SlotState.UP else "warn"),
        (f"#{lane.task} ", "strong"),
        (lane.agent, "primary"),
    ]
    facts = [slot] if named else []
    facts += [f"round {numbers.rounds(lane.round, lane.round_total)}", numbers.clock(view.now - lane.started_at)]
    if lane.attempt > 1:
        facts.append(f"try {lane.attempt}")
    if lane.ttft_s is not None:
        facts += [f"{numbers.rate(lane.tokens_per_s)} tok/s", f"TTFT {lane.ttft_s:.2f}", f"{lane.tokens:,} tok"]
    return fill(spans, [field(fact, "dim") for fact in facts], width)


def _body(lane: SlotView, width: int, height: int) -> list[Line]:
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


def _reading(lane: SlotView, width: int) -> list[Span]:
    share = min(1.0, lane.read / lane.to_read)
    words_ = f"reading prompt {lane.read:,}/{lane.to_read:,}"
    bar = max(0, min(24, width - len(words_) - 2))
    full = round(bar * share)
    return [(f"{words_}  ", "dim"), ("━" * full, "bar"), ("─" * (bar - full), "off")]
