"""Draw a slot: the attempt on it and the end of its stream."""

from __future__ import annotations

from aios_tui.console.state.view_state import SlotView, ViewState
from aios_tui.console.widgets.cells import fit, plain, wrap_tail
from aios_tui.console.widgets.field_lines import field, fill
from aios_tui.console.widgets.sparkline import strip
from aios_tui.console.widgets.styled_lines import Line, Span, clip, width_of
from aios_tui.formatting import numbers
from engine.cores.port import SlotState

INDENT = 3
STRIP = 30


def heights(slots: list[SlotView], room: int) -> list[int]:
    """Return the number of lines of each slot: one if idle; busy slots share the rest evenly."""
    if not slots:
        return []
    active = [slot.task is not None for slot in slots]
    spare = max(0, room - len(slots))
    share, over = divmod(spare, sum(active)) if any(active) else (0, 0)
    out = []
    for runs in active:
        extra = share + (1 if over > 0 else 0) if runs else 0
        over -= runs
        out.append(1 + extra)
    return out


def draw_slot(
    slot: SlotView, view: ViewState, width: int, height: int, *, named: bool = False, titled: bool = False
) -> list[Line]:
    """Draw a slot in exactly `height` lines. `named`: with its id; `titled`: its core's title says why it is down."""
    head = _head(slot, view, width, named=named, titled=titled)
    lines: list[Line] = [_with_strip(clip(head, width), slot, view, width)]
    if slot.task is not None and height > 1:
        lines += _body(slot, width, height - 1)
    return (lines + [()] * height)[:height]


def _with_strip(head: Line, slot: SlotView, view: ViewState, width: int) -> Line:
    """Append the slot's tokens per second over the last five minutes to its line, if there is room."""
    used, rates = width_of(head), view.meters.slot_strip(slot.id, view.now)
    bars = strip(rates, min(STRIP, width - used - 2), view.now) if any(rates) else []
    return (*head, (" " * (width - used - width_of(bars)), ""), *bars) if bars else head


def _head(slot: SlotView, view: ViewState, width: int, *, named: bool, titled: bool) -> list[Span]:
    name = plain(slot.id)
    if slot.state is SlotState.DOWN:
        return [("✗ ", "bad"), (f"{name}  ", "dim"), ("down" if titled else f"down  {slot.reason}", "bad")]
    if slot.task is None:
        mark, word = ("◌", "idle") if slot.state is SlotState.UP else ("◍", slot.state.value)
        spans = [(f"{mark} ", "dim"), (f"{name}  ", "dim"), (word, "dim")]
        if slot.reason and slot.state is not SlotState.UP and not titled:
            spans.append((f"  {slot.reason}", "warn"))
        return spans
    spans = [
        ("● ", "good" if slot.state is SlotState.UP else "warn"),
        (f"#{slot.task} ", "strong"),
        (slot.agent, "primary"),
    ]
    facts = [name] if named else []
    facts += [f"round {numbers.rounds(slot.round, slot.round_total)}", numbers.clock(view.now - slot.started_at)]
    if slot.attempt > 1:
        facts.append(f"try {slot.attempt}")
    if slot.ttft_s is not None:
        facts += [f"{numbers.rate(slot.tokens_per_s)} tok/s", f"TTFT {slot.ttft_s:.2f}", f"{slot.tokens:,} tok"]
    return fill(spans, [field(fact, "dim") for fact in facts], width)


def _body(slot: SlotView, width: int, height: int) -> list[Line]:
    inner = width - INDENT
    indent = " " * INDENT
    if slot.talking:
        tail = wrap_tail(slot.text, inner, height, slot.dropped)
        return [((indent, ""), (fit(text, inner), "")) for text in tail]
    if slot.thinking:
        tail = wrap_tail(slot.thinking, inner, height, slot.thinking_dropped)
        return [((indent, ""), (fit(text, inner), "thinking")) for text in tail]
    if slot.to_read:
        return [clip([(indent, ""), *_reading(slot, inner)], width)]
    return [clip([(indent, ""), ("waiting for the first token", "dim")], width)]


def _reading(slot: SlotView, width: int) -> list[Span]:
    share = min(1.0, slot.read / slot.to_read)
    text = f"reading prompt {slot.read:,}/{slot.to_read:,}"
    bar = max(0, min(24, width - len(text) - 2))
    full = round(bar * share)
    return [(f"{text}  ", "dim"), ("━" * full, "bar"), ("─" * (bar - full), "off")]
