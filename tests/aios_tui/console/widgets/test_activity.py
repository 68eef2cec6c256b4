"""The activity pane: what it says of cores, models and GPUs, and that no number is ever cut."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios_tui.console.state.reducer import fold_all
from aios_tui.console.state.view_state import Counts, ViewState
from aios_tui.console.widgets import core_summary
from aios_tui.console.widgets.activity_layout import plan_for
from aios_tui.console.widgets.field_lines import FieldEntry, choose, field, fill, flow
from aios_tui.console.widgets.header import Header
from aios_tui.console.widgets.sparkline import LEAST, strip
from aios_tui.console.widgets.styled_lines import Line
from aios_tui.console.widgets.system_stats import draw_machine
from aios_tui.formatting.numbers import brief, part
from engine import events as e
from engine.cores.port import CoreInfo, ModelInfo, SlotState
from engine.telemetry import GpuProcess, GpuSample, TelemetrySample
from tests.aios_tui.console import fake_cluster, scene
from tests.aios_tui.console.helpers import lines, opened


def said(line: Line) -> str:
    return "".join(text for text, _ in line)


def sample(*gpus: GpuSample) -> TelemetrySample:
    return TelemetrySample(37.0, 5 << 30, 16 << 30, 210 << 20, gpus, "" if gpus else "no NVIDIA GPU here")


def folded(events: list[e.Event]) -> ViewState:
    return fold_all(ViewState(now=scene.NOW), events)


def core(*models: ModelInfo) -> CoreInfo:
    return CoreInfo("gpu-box", True, "m", models, kind="ollama")


# -- fields and strips ------------------------------------------------------------------------------------------------


@given(st.lists(st.text("0123456789", min_size=1, max_size=12), max_size=8), st.integers(24, 60))
def test_fields_are_shown_whole_or_not_at_all(texts: list[str], width: int) -> None:
    fields = [field(text) for text in texts]
    rows = [said(line) for line in flow([("head     ", "title")], fields, width)]
    assert " ".join(rows).split() == ["head", *texts]
    assert all(len(row) <= width for row in rows)
    one = "".join(text for text, _ in fill([("head", "")], fields, width)).split()
    assert one == ["head", *texts[: len(one) - 1]]


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 30))
def test_the_lowest_ranks_stay_in_their_order(ranks: list[int], room: int) -> None:
    found = [FieldEntry(rank, ((str(n), ""),)) for n, rank in enumerate(ranks)]
    kept = choose(found, room)
    assert sorted(entry.rank for entry in kept) == sorted(ranks)[:room]
    assert kept == [entry for entry in found if entry in kept]


@pytest.mark.parametrize("width", [60, 59, 47, 31, 30, 20, 12, LEAST])
def test_a_strip_is_always_the_whole_window(width: int) -> None:
    values = [0.0] * 60
    values[0] = values[-1] = 8.0
    shown = "".join(text for text, _ in strip(values, width, 5 * 59.5))
    assert len(shown) <= width
    assert shown[0] == shown[-1] == "█"
    assert set(shown[1:-1]) == {"▁"}


def test_a_bar_keeps_its_height_while_time_goes_on() -> None:
    """Thirty cells of two buckets each: whichever bucket is the last, the same two are one cell."""
    burst = {100: 6.0, 101: 2.0, 104: 8.0}
    for last in range(110, 130):
        values = [burst.get(number, 0.0) for number in range(last - 59, last + 1)]
        shown = "".join(text for text, _ in strip(values, 30, last * 5.0))
        assert shown.strip("▁") == "█▁█"


def test_no_strip_where_there_is_no_room() -> None:
    assert strip([1.0] * 60, LEAST - 1, 0) == strip([], 60, 0) == []


def test_small_numbers_in_words() -> None:
    assert [brief(x) for x in (0.314, 0.999, 1.06, 9.94, 9.96, 59.4, 59.6, 200)] == [
        "0.31", "1.00", "1.1", "9.9", "10", "59", "0:59", "3:20",
    ]  # fmt: skip
    assert (part(6.1e9, 8e9), part(200e6, 8e9)) == ("6.1 of 8.0 GB", "200 MB of 8.0 GB")


# -- a core's lines ---------------------------------------------------------------------------------------------------


def test_a_model_that_is_partly_in_ram_is_warned_of_with_what_to_do() -> None:
    found = [said(entry.line) for entry in core_summary.warnings(core(fake_cluster.SPILT), 200)]
    assert found[0] == "! qwen3:8b: 38 % is in system RAM, so it is slow"
    assert "smaller context (num_ctx)" in found[1]
    both = core(fake_cluster.SPILT, replace(fake_cluster.OTHER, loaded=True))
    assert "unload the other one" in said(core_summary.warnings(both, 200)[1].line)


@pytest.mark.parametrize(
    ("vram", "shown", "warned"),
    [
        (1000, "100 % in VRAM", False),
        (999, "99 % in VRAM", True),
        (1, "1 % in VRAM", True),
        (0, "in system RAM", False),
    ],
)
def test_a_part_is_never_told_as_all_or_nothing(vram: int, shown: str, warned: bool) -> None:
    info = core(ModelInfo("m", loaded=True, size_loaded=1000, size_vram=vram))
    assert shown in said(core_summary.models(info, 0.0, 80)[0].line)
    assert bool(core_summary.warnings(info, 80)) is warned


def test_a_model_wholly_in_ram_is_warned_of_where_there_is_a_card_for_it() -> None:
    model = ModelInfo("m", loaded=True, size_loaded=1000, size_vram=0)
    here = replace(core(model), where="http://127.0.0.1:11434")
    first, *advice = [said(entry.line) for entry in core_summary.warnings(here, 80, gpu=True)]
    assert first == "! m: all of it is in system RAM, so it is slow"
    assert "does not use the GPU" in advice[0]
    assert core_summary.warnings(here, 80) == []
    assert core_summary.warnings(replace(here, where="http://den.lan:11434"), 80, gpu=True) == []
    assert core_summary.warnings(replace(here, kind="embedded"), 80, gpu=True) == []


def test_what_a_server_does_not_tell_is_not_made_up() -> None:
    info = core(ModelInfo("m", loaded=True, size_loaded=0, size_vram=0), ModelInfo("n", loaded=True))
    assert [said(entry.line).split() for entry in core_summary.models(info, 0.0, 80)] == [
        ["models", "m", "0", "B"],
        ["n"],
    ]


def test_the_countdown_ticks_to_its_end() -> None:
    info = core(ModelInfo("m", loaded=True, expires_at=100.0))
    shown = [said(core_summary.models(info, now, 80)[0].line) for now in (30.0, 99.0, 100.0, 200.0)]
    assert [text.partition("m  ")[2] for text in shown] == ["unloads in 1:10", "unloads in 0:01", *["unloads now"] * 2]


def test_only_some_models_are_listed() -> None:
    info = core(*(ModelInfo(f"m{n}", loaded=True) for n in range(6)))
    assert said(core_summary.models(info, 0.0, 80)[-1].line).split() == ["and", "3", "more"]


def test_a_cores_figures() -> None:
    view = folded(fake_cluster.whole())
    reading = view.meters.core("gpu-box", scene.NOW)
    text = "  ".join(said(one) for one in core_summary.figures(reading, rate=True))
    assert re.fullmatch(
        r"[\d.]+ tok/s  42 % busy  1 error: busy  TTFT 0\.30 p95 7\.3  wait [\d.]+ p95 [\d.]+  2 swaps"
        r"  14\.0 s loading  12 attempts",
        text,
    )


def test_programs_of_one_name_are_counted_together() -> None:
    processes = (GpuProcess(1, "a", 10**9), GpuProcess(2, "a", 10**9), *(GpuProcess(n, f"p{n}") for n in range(3, 9)))
    gpu = GpuSample(0, "Card", processes=processes)
    assert said(draw_machine(sample(gpu), 200)[0].line).split("  ")[-6:] == [
        "a ×2 2.0 GB", "p3", "p4", "p5", "and 3 more", "Card",
    ]  # fmt: skip


# -- the pane ---------------------------------------------------------------------------------------------------------


@given(st.integers(30, 210), st.integers(1, 60), st.booleans())
def test_every_slot_is_shown_or_reached_and_no_number_is_cut(width: int, height: int, several: bool) -> None:
    view = folded(fake_cluster.whole() if several else scene.whole())
    slots = view.shown_slots
    plan = plan_for(view, slots, sample(*fake_cluster.gpus()), width, height)
    drawn = [entry.line for block in plan.blocks for entry in block.head] + [entry.line for entry in plan.foot]
    assert all(len(said(line)) <= width for line in drawn)
    figures = [said(line) for line in drawn if not said(line).startswith("✗")]  # why a core is down is free text
    assert not [text for text in figures if re.search(r"\d…|…\d", text)]
    if plan.scrolls:
        assert plan.room + len(plan.foot) == height
    else:
        assert set(plan.heights) == {slot.id for slot in slots}
        assert sum(plan.heights.values()) + len(drawn) <= height
    assert plan.named is (several and not plan.titled)


def test_the_warning_outlasts_all_but_the_slots_and_titles() -> None:
    view = folded(fake_cluster.whole())
    for height in range(5, 50):
        plan = plan_for(view, view.shown_slots, sample(), 50, height)
        shown = [said(entry.line) for block in plan.blocks for entry in block.head] + [
            said(entry.line) for entry in plan.foot
        ]
        if any(line.startswith("models") for line in shown):
            assert any(line.startswith("! qwen3:8b") for line in shown), height


@pytest.mark.parametrize("width", [40, 50, 60, 76, 96])
def test_the_header_leaves_out_counts_and_cuts_none(width: int) -> None:
    header = Header()
    header.view = folded(scene.whole())
    header.view.counts = Counts(1_234_567, 12_345, 1_234)
    first, second = (said(line) for line in header.build(width, 2))
    assert "12 q" in first and "1 r" in first
    assert max(len(first), len(second)) <= width
    assert set(re.findall(r"[\d,]+ [a-z]", first)) <= {"12 q", "1 r", "1,234,567 d", "12,345 f", "1,234 c"}


async def test_a_slot_that_is_not_proven_has_no_line() -> None:
    async with opened(fake_cluster.whole()) as (app, pilot, runtime):
        assert "gpu-box/2" not in "\n".join(lines(app))
        assert "2 of 4 slots busy" in "\n".join(lines(app))
        runtime.fake.subscription.put(e.SlotChanged(scene.NOW, "gpu-box/2", "gpu-box", SlotState.UP, ""))
        await pilot.pause()
        app.bridge.flush()
        await pilot.pause()
        assert "gpu-box/2" in "\n".join(lines(app))
        assert "2 of 5 slots busy" in "\n".join(lines(app))


async def test_the_cursor_finds_each_slot_between_the_blocks() -> None:
    async with opened(fake_cluster.whole(), size=(160, 50)) as (app, pilot, _):
        await pilot.press("2")
        seen = []
        for _n in range(4):
            marked = [line for y, line in enumerate(lines(app)) if app.main.activity.bases.get(y - 3) == "cursor"]
            seen.append(re.sub(r".*[●◌✗] (\S+).*", r"\1", marked[0]))
            await pilot.press("j")
        assert seen == ["#9", "gpu-box/1", "#10", "attic/0"]
        assert app.main.selected is None
        await pilot.press("k")
        assert app.main.selected == 10


def test_of_a_server_that_does_not_tell_what_is_in_memory_nothing_is_said() -> None:
    info = CoreInfo("rack", True, "m", (ModelInfo("m"),), kind="openai")
    assert core_summary.models(info, 0.0, 80) == []
    assert "none in memory" in said(core_summary.models(replace(info, kind="ollama"), 0.0, 80)[0].line)
