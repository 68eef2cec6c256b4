"""What is drawn below the lanes: tokens per second over the last minutes, models in memory, GPU, processor, RAM."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from aios_tui.bridge.state import ViewState
from aios_tui.widgets import words
from aios_tui.widgets.cells import plain
from aios_tui.widgets.ink import Line, Span, clip
from engine.cores.port import ModelInfo

if TYPE_CHECKING:
    from engine.telemetry import GpuSample, TelemetrySample

BARS = " ▁▂▃▄▅▆▇█"
LABEL = 9
MAX_MODELS = 3


def sparkline(values: Sequence[float], width: int) -> list[Span]:
    """The newest values as bars of one cell, scaled to the highest; zero is a faint line, anything above it is not."""
    shown = values[-width:] if width > 0 else []
    top = max(shown, default=0.0)
    bars = [BARS[max(1, round(value / top * 8))] if value > 0 else "" for value in shown]
    return [
        ("".join(run) if some else "▁" * len(run), "bar" if some else "off")
        for some, run in ((some, list(run)) for some, run in groupby(bars, key=bool))
    ]


def draw_machine(view: ViewState, sample: TelemetrySample | None, width: int, height: int) -> list[Line]:
    """At most `height` lines, the more telling first."""
    lines = [_throughput(view, width), *_models(view, width)]
    if sample is not None:
        lines += [*_gpu(sample, width), _host(sample, width)]
    return lines[:height]


def _labelled(label: str, spans: list[Span], width: int) -> Line:
    return clip([(label.ljust(LABEL), "title"), *spans], width)


def _throughput(view: ViewState, width: int) -> Line:
    now = f" {words.rate(view.meters.tokens_per_s(view.now))}"
    history = view.meters.strip(view.now)
    room = width - LABEL - len(now) - 7
    return _labelled("tokens/s", [*sparkline(history, min(60, room)), (now, "strong"), ("  5 min", "dim")], width)


def _models(view: ViewState, width: int) -> list[Line]:
    loaded = [model for core in view.cores.values() for model in core.models if model.loaded]
    if not loaded:
        return [_labelled("models", [("none in memory", "dim")], width)] if view.cores else []
    lines = [
        _labelled("models" if index == 0 else "", _model(model, view.now), width)
        for index, model in enumerate(loaded[:MAX_MODELS])
    ]
    if len(loaded) > MAX_MODELS:
        lines.append(_labelled("", [(f"and {len(loaded) - MAX_MODELS} more", "dim")], width))
    return lines


def _model(model: ModelInfo, now: float) -> list[Span]:
    facts = []
    if model.size_loaded is not None:
        facts.append(words.size(model.size_loaded))
        if model.size_vram is not None and model.size_loaded > 0:
            share = model.size_vram / model.size_loaded
            facts.append(f"{share:.0%} in VRAM" if share > 0 else "in RAM")
    if model.expires_at is not None and model.expires_at > now:
        facts.append(f"unloads in {words.clock(model.expires_at - now)}")
    if model.context_length:
        facts.append(f"context {model.context_length:,}")
    if model.detail and not facts:
        facts.append(plain(model.detail))
    return [(plain(model.name), ""), ("  " + "  ".join(facts) if facts else "", "dim")]


def _gpu(sample: TelemetrySample, width: int) -> list[Line]:
    if not sample.gpus:
        return [_labelled("GPU", [(plain(sample.gpu_note) or "none", "dim")], width)]
    return [
        _labelled("GPU" if len(sample.gpus) == 1 else f"GPU {n}", _gpu_facts(gpu), width)
        for n, gpu in enumerate(sample.gpus)
    ]


def _gpu_facts(gpu: GpuSample) -> list[Span]:
    facts = []
    if gpu.utilisation is not None:
        facts.append(f"{gpu.utilisation:.0f} %")
    if gpu.memory_used is not None and gpu.memory_total is not None:
        facts.append(f"VRAM {words.size(gpu.memory_used)} of {words.size(gpu.memory_total)}")
    if gpu.temperature is not None:
        facts.append(f"{gpu.temperature:.0f} °C")
    if gpu.power is not None:
        facts.append(f"{gpu.power:.0f} W")
    return [("  ".join(facts), ""), (f"  {plain(gpu.name)}", "dim")]


def _host(sample: TelemetrySample, width: int) -> Line:
    spans: list[Span] = [
        (f"{sample.cpu_percent:.0f} %", ""),
        (f"  RAM {words.size(sample.ram_used)} of {words.size(sample.ram_total)}", ""),
        (f"  console {words.size(sample.process_rss)}", "dim"),
    ]
    return _labelled("CPU", spans, width)
