"""Layout of the activity pane: which lines are kept, and how many each slot gets.

With one core the slots come first, and everything else below them. With several cores each is a block: its title with
figures and models, then its slots. A running slot gets `COMFORT` lines before anything else takes more than a quarter
of the pane, and `AMPLE` before continuation lines are shown. Of the other lines, those of the lowest ranks are kept. In
a pane too low for that only the slots are shown, and scroll.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aios_tui.console.state.view_state import SlotView, ViewState
from aios_tui.console.widgets import core_summary
from aios_tui.console.widgets.core_summary import FIGURES, FIRST, MORE, SPACE
from aios_tui.console.widgets.field_lines import FieldEntry, choose, entries, lay
from aios_tui.console.widgets.slot_lines import heights
from aios_tui.console.widgets.system_stats import draw_machine

if TYPE_CHECKING:
    from engine.telemetry import TelemetrySample

COMFORT, AMPLE = 4, 8
LOW = 5
"""In a pane of fewer lines only slots are shown."""


@dataclass(slots=True)
class Block:
    """A core: the lines above its slots, and its slots."""

    head: list[FieldEntry]
    slots: list[SlotView]


@dataclass(slots=True)
class ActivityLayout:
    """The layout of a pane.

    Attributes:
        foot: lines at the bottom of the pane.
        heights: number of lines by slot id.
        room: number of lines for all slots together.
        scrolls: True if the slots don't fit; each slot shown gets one line.
        titled: True if each core has a title.
        named: True if slots show their id.
    """

    blocks: list[Block]
    foot: list[FieldEntry]
    room: int
    heights: dict[str, int] = field(default_factory=dict)
    scrolls: bool = False
    titled: bool = False
    named: bool = False


def plan_for(
    view: ViewState, slots: list[SlotView], sample: TelemetrySample | None, width: int, height: int
) -> ActivityLayout:
    """Return the layout of a pane of this size with these slots."""
    several = len(view.cores) > 1
    gpu = sample is not None and bool(sample.gpus)
    running = sum(slot.task is not None for slot in slots)
    left = height - len(slots) - 1
    budget = 0 if height < LOW else max(1, height // 4, left - running * (COMFORT - 1))
    titled = several and budget > len(view.cores)
    blocks = _blocks(view, slots, width, gpu=gpu) if titled else [Block([], slots)]
    foot = [
        *_foot(view, width, budget, titled=titled, gpu=gpu),
        *(draw_machine(sample, width) if sample is not None else []),
    ]
    used = _drop_excess(blocks, foot, budget, left - running * (AMPLE - 1))
    gap = 1 if used and height > 8 else 0
    room = height - used - gap
    if len(slots) > room:
        foot = choose(foot, max(1, height // 4) if height >= LOW else 0)
        return ActivityLayout([], foot, height - len(foot), scrolls=True, named=several)
    shown = [slot for block in blocks for slot in block.slots]
    sizes = dict(zip((slot.id for slot in shown), heights(shown, room), strict=True))
    return ActivityLayout(blocks, foot, room, sizes, titled=titled, named=several and not titled)


def _blocks(view: ViewState, slots: Sequence[SlotView], width: int, *, gpu: bool) -> list[Block]:
    """Return a block per core; slots of cores that were not inspected yet come last."""
    blocks: list[Block] = []
    for name, info in view.cores.items():
        reading = view.meters.core(name, view.now)
        head = entries(core_summary.title(info, reading, width, view.now), FIRST, FIGURES)
        if info.healthy:
            head += core_summary.warnings(info, width, gpu=gpu)
            head += core_summary.models(info, view.now, width, titled=True)
            head += _next(view, name, width)
        if blocks:
            head.insert(0, FieldEntry(SPACE, ()))
        blocks.append(Block(head, [slot for slot in slots if slot.core == name]))
    strays = [slot for slot in slots if slot.core not in view.cores]
    return [*blocks, Block([], strays)] if strays else blocks


def _foot(view: ViewState, width: int, budget: int, *, titled: bool, gpu: bool) -> list[FieldEntry]:
    """Return the lines at the bottom: the strip of all cores and, where cores have no titles, their other lines."""
    fields = []
    found: list[FieldEntry] = []
    if not titled:
        for name, info in view.cores.items():
            reading = view.meters.core(name, view.now)
            if budget < COMFORT:
                fields += core_summary.spill_field(info, gpu=gpu)
            if len(view.cores) == 1:
                figures = core_summary.figures(reading, rate=False)
                if budget < COMFORT:
                    fields += figures
                elif figures:
                    found += entries(lay("core", figures, width), FIGURES, MORE)
            found += core_summary.warnings(info, width, gpu=gpu)
            if info.healthy:
                found += [*core_summary.models(info, view.now, width), *_next(view, name, width)]
    if not view.cores and not view.slots:
        return found
    return [FieldEntry(FIRST, core_summary.throughput(view, width, fields)), *found]


def _next(view: ViewState, core: str, width: int) -> list[FieldEntry]:
    plan = view.swaps.get(core)
    return [] if plan is None else core_summary.next_swap(plan, view.now, width)


def _drop_excess(blocks: Sequence[Block], foot: list[FieldEntry], budget: int, ample: int) -> int:
    """Drop entries without room from blocks and foot; returns how many are left. Continuations need `ample` lines."""
    groups = [*(block.head for block in blocks), foot]
    found = [entry for group in groups for entry in group]
    kept = choose([entry for entry in found if entry.rank < MORE], budget)
    kept += choose([entry for entry in found if entry.rank >= MORE], min(budget, ample) - len(kept))
    stay = {id(entry) for entry in kept}
    for group in groups:
        group[:] = [entry for entry in group if id(entry) in stay]
    return len(kept)
