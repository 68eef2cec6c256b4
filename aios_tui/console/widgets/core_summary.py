"""What is drawn of a core beside its slots: its figures, throughput, models in memory, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from aios_tui.console.state.view_state import ViewState
from aios_tui.console.widgets.cells import cell_len, fit, plain, wrap
from aios_tui.console.widgets.field_lines import (
    GAP,
    LABEL,
    Field,
    FieldEntry,
    cut,
    entries,
    field,
    fill,
    flow,
    lay,
    width_of,
)
from aios_tui.console.widgets.sparkline import LEAST, strip
from aios_tui.console.widgets.styled_lines import Line, Span
from aios_tui.formatting import numbers
from engine.cores.port import CoreInfo, ModelInfo
from engine.events import SwapPlanned
from engine.telemetry.meters import CoreReading

MAX_MODELS = 3
STRIP = 60
MOST_FAULTS = 3
MAX_NAME = 20
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

# Ranks of lines, the first to stay; docs/metrics.md tells the order.
FIRST, WARNING, GPU, MODEL, FIGURES, NEXT, HOST, MORE, SPACE = range(9)


def figures(reading: CoreReading, *, rate: bool) -> list[Field]:
    """A core's figures of the last five minutes, the most telling first; what has not happened is left out."""
    found: list[Field] = []
    if rate:
        found.append(((numbers.rate(reading.tokens_per_s), "strong"), (" tok/s", "dim")))
    if reading.utilisation is not None:
        found.append(((f"{reading.utilisation:.0%}".replace("%", " %"), ""), (" busy", "dim")))
    if reading.errors:
        found.append(field(f"{numbers.count(reading.errors, 'error')}: {_kinds(reading)}", "bad"))
    for name, quantiles in (("TTFT", reading.ttft), ("wait", reading.wait)):
        if quantiles is not None:
            found.append(
                (
                    (f"{name} ", "dim"),
                    (numbers.brief(quantiles.p50), ""),
                    (" p95 ", "dim"),
                    (numbers.brief(quantiles.p95), ""),
                )
            )
    if reading.swaps:
        found.append(field(numbers.count(reading.swaps, "swap")))
    if reading.load_s >= 0.1:
        found.append(((numbers.took(reading.load_s), ""), (" loading", "dim")))
    if reading.attempts:
        found.append(field(numbers.count(reading.attempts, "attempt"), "dim"))
    return found


def _kinds(reading: CoreReading) -> str:
    """`busy`, or `busy 2, server 1`."""
    kinds = [(kind.replace("_", " "), count) for kind, count in reading.faults.items()]
    if len(kinds) == 1:
        return kinds[0][0]
    more = ", …" if len(kinds) > MOST_FAULTS else ""
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds[:MOST_FAULTS]) + more


def title(info: CoreInfo, reading: CoreReading, width: int, now: float) -> list[Line]:
    """Where there are several cores: a core's name and figures, and its strip where there is room for it."""
    name = cut(info.name, MAX_NAME)
    if not info.healthy:
        why = cut(info.detail or "down", max(1, width - cell_len(name) - 4))
        return [(("✗ ", "bad"), (name, "strong"), (GAP, ""), (why, "bad"))]
    fields = figures(reading, rate=True)
    if info.default_model:
        fields.insert(0, field(cut(info.default_model, width // 2), "primary"))
    lines = flow([("● ", "good"), (name, "strong"), (GAP, "")], fields, width)
    room = width - width_of(lines[0]) - len(GAP)
    bars = strip(reading.strip, min(STRIP // 2, room), now) if len(lines) == 1 and any(reading.strip) else []
    if bars:
        lines[0] = (*lines[0], (" " * (width - width_of(lines[0]) - width_of(bars)), ""), *bars)
    return lines


def throughput(view: ViewState, width: int, more: Sequence[Field] = ()) -> Line:
    """Tokens per second of all cores over five minutes, and now. With `more` fields, fewer bars."""
    now: list[Span] = [(f" {numbers.rate(view.meters.tokens_per_s(view.now))}", "strong")]
    room = width - LABEL - width_of(now)
    wanted = LEAST if more and room < STRIP else STRIP // 2 if more else STRIP
    said: list[Span] = [] if more else [("  5 min", "dim")]
    bars = strip(view.meters.strip(view.now), min(wanted, room - width_of(said)), view.now)
    return tuple(fill([(fit("tokens/s", LABEL), "title"), *bars, *now, *said], more, width))


def models(info: CoreInfo, now: float, width: int, *, titled: bool = False) -> list[FieldEntry]:
    """The models that a core has in memory: the part in GPU memory, when each goes, size and context.

    Below a title, a single one of which no more is known than the title says is left out.
    """
    loaded = [model for model in info.models if model.loaded]
    if titled and [(model.name, model.size_loaded, model.expires_at) for model in loaded] == [
        (info.default_model, None, None)
    ]:
        return []
    if not loaded:
        if info.kind == "openai":  # such a server does not tell what is in memory
            return []
        return entries(lay("models", [field("none in memory", "dim")], width), MODEL, MORE)
    found: list[FieldEntry] = []
    for n, model in enumerate(loaded[:MAX_MODELS]):
        found += entries(lay("" if n else "models", _model(model, now), width), MORE if n else MODEL, MORE)
    if len(loaded) > MAX_MODELS:
        found += entries(lay("", [field(f"and {len(loaded) - MAX_MODELS} more", "dim")], width), MORE, MORE)
    return found


def _model(model: ModelInfo, now: float) -> list[Field]:
    found = [field(plain(model.name))]
    share = in_vram(model)
    if share is not None:
        spilt = 0 < share < 1
        said = f"{_percent(share)} in VRAM" if share > 0 else "in system RAM"
        found.append(field(said, "warn" if spilt else "dim"))
    if model.expires_at is not None:
        left = model.expires_at - now
        found.append(field(f"unloads in {numbers.clock(left)}" if left > 0 else "unloads now", "dim"))
    if model.size_loaded is not None:
        found.append(field(numbers.size(model.size_loaded), "dim"))
    if model.context_length:
        found.append(field(f"context {model.context_length:,}", "dim"))
    if model.detail and len(found) == 1:
        found.append(field(plain(model.detail), "dim"))
    return found


def next_swap(plan: SwapPlanned, now: float, width: int) -> list[FieldEntry]:
    """The model that a core will load next, for which task, and how long affinity may still let others go first."""
    found = [field(cut(plan.to_model, width // 2), "primary"), field(f"for #{plan.task}", "dim")]
    if plan.passes_left:
        found.append(field(f"after at most {numbers.count(plan.passes_left, 'other')}", "dim"))
    if plan.until is not None and plan.until > now:
        found.append(field(f"within {numbers.clock(plan.until - now)}", "dim"))
    return entries(lay("next", found, width), NEXT, MORE)


def in_vram(model: ModelInfo) -> float | None:
    """The part of a loaded model in GPU memory, 0 … 1; None where the server does not tell."""
    if model.size_vram is None or not model.size_loaded:
        return None
    return min(1.0, model.size_vram / model.size_loaded)


def _percent(share: float) -> str:
    """Percent of a whole; less than all is never written as 100, nor more than nothing as 0."""
    return "100 %" if share >= 1 else f"{min(99, max(1, round(share * 100)))} %"


def spilt(info: CoreInfo, *, gpu: bool = False) -> list[tuple[ModelInfo, float]]:
    """The models of which a part, given, lies in system RAM that should not: some is in GPU memory, or none of it is
    though the server is on this machine, which has a `gpu`."""
    expects = gpu and info.kind == "ollama" and any(host in info.where for host in LOOPBACK)
    shares = [(model, in_vram(model)) for model in info.models if model.loaded]
    return [(model, 1 - share) for model, share in shares if share is not None and share < 1 and (share > 0 or expects)]


def spill_field(info: CoreInfo, *, gpu: bool = False) -> list[Field]:
    """The same in few words, for a pane with room for one line."""
    found = spilt(info, gpu=gpu)
    return [field(f"{_percent(part)} of {cut(model.name, MAX_NAME)} in RAM", "warn") for model, part in found]


def warnings(info: CoreInfo, width: int, *, gpu: bool = False) -> list[FieldEntry]:
    """A plain line where a part of a model sits in system RAM, and what to do about it."""
    loaded = sum(model.loaded for model in info.models)
    found: list[FieldEntry] = []
    for model, part in spilt(info, gpu=gpu):
        said = f": {_percent(part) if part < 1 else 'all of it'} is in system RAM, so it is slow"
        line = f"! {cut(model.name, max(8, width - len(said) - 2))}{said}"
        found.append(FieldEntry(WARNING, ((cut(line, width), "warn"),)))
        other = "unload the other one, " if loaded == 2 else "unload the others, " if loaded > 2 else ""
        advice = f"To have it all in GPU memory: {other}take a smaller context (num_ctx) or a smaller model."
        if part == 1:
            advice = f"The server does not use the GPU: its log says why. {advice}"
        found += [FieldEntry(MORE, (("  ", ""), (line, "dim"))) for line in wrap(advice, width - 2)]
    return found
