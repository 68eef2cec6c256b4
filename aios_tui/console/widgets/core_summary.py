"""Lines about a core beside its slots: figures, throughput, models in memory, and warnings."""

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
)
from aios_tui.console.widgets.sparkline import LEAST, strip
from aios_tui.console.widgets.styled_lines import Line, Span, width_of
from aios_tui.formatting import numbers
from aios_tui.formatting.models import vram_share
from engine.cores.port import CoreInfo, ModelInfo
from engine.events import SwapPlanned
from engine.telemetry.meters import CoreReading
from engine.wording import plural

MAX_MODELS = 3
STRIP = 60
MOST_FAULTS = 3
MAX_NAME = 20
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

# Ranks of lines, those dropped last first; docs/metrics.md has the order.
FIRST, WARNING, GPU, MODEL, FIGURES, NEXT, HOST, MORE, SPACE = range(9)


def figures(reading: CoreReading, *, rate: bool) -> list[Field]:
    """Return a core's figures of the last five minutes, most important first; zeros are left out."""
    found: list[Field] = []
    if rate:
        found.append(((numbers.rate(reading.tokens_per_s), "strong"), (" tok/s", "dim")))
    if reading.utilisation is not None:
        found.append(((f"{reading.utilisation:.0%}".replace("%", " %"), ""), (" busy", "dim")))
    if reading.errors:
        found.append(field(f"{plural(reading.errors, 'error')}: {_kinds(reading)}", "bad"))
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
        found.append(field(plural(reading.swaps, "swap")))
    if reading.load_s >= 0.1:
        found.append(((numbers.took(reading.load_s), ""), (" loading", "dim")))
    if reading.attempts:
        found.append(field(plural(reading.attempts, "attempt"), "dim"))
    return found


def _kinds(reading: CoreReading) -> str:
    """`busy`, or `busy 2, server 1`."""
    kinds = [(kind.replace("_", " "), count) for kind, count in reading.faults.items()]
    if len(kinds) == 1:
        return kinds[0][0]
    more = ", …" if len(kinds) > MOST_FAULTS else ""
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds[:MOST_FAULTS]) + more


def title(info: CoreInfo, reading: CoreReading, width: int, now: float) -> list[Line]:
    """Return a core's title, where there are several: name, figures, and its strip if there is room."""
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
    """Return tokens per second of all cores over five minutes, and now. `more` fields leave room for fewer bars."""
    now: list[Span] = [(f" {numbers.rate(view.meters.tokens_per_s(view.now))}", "strong")]
    room = width - LABEL - width_of(now)
    wanted = LEAST if more and room < STRIP else STRIP // 2 if more else STRIP
    tail: list[Span] = [] if more else [("  5 min", "dim")]
    bars = strip(view.meters.strip(view.now), min(wanted, room - width_of(tail)), view.now)
    return tuple(fill([(fit("tokens/s", LABEL), "title"), *bars, *now, *tail], more, width))


def models(info: CoreInfo, now: float, width: int, *, titled: bool = False) -> list[FieldEntry]:
    """Return the models that a core has in memory: share in GPU memory, time left, size and context.

    Below a title, a single model is left out if its name, which the title has, is all that is known.
    """
    loaded = [model for model in info.models if model.loaded]
    if titled and [(model.name, model.size_loaded, model.expires_at) for model in loaded] == [
        (info.default_model, None, None)
    ]:
        return []
    if not loaded:
        if info.kind == "openai":  # such a server does not report which models are in memory
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
    share = vram_share(model)
    if share is not None:
        spilled = 0 < share < 1
        text = f"{_percent(share)} in VRAM" if share > 0 else "in system RAM"
        found.append(field(text, "warn" if spilled else "dim"))
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
    """Return the model that a core will load next, for which task, and how long affinity may delay it."""
    found = [field(cut(plan.to_model, width // 2), "primary"), field(f"for #{plan.task}", "dim")]
    if plan.passes_left:
        found.append(field(f"after at most {plural(plan.passes_left, 'other')}", "dim"))
    if plan.until is not None and plan.until > now:
        found.append(field(f"within {numbers.clock(plan.until - now)}", "dim"))
    return entries(lay("next", found, width), NEXT, MORE)


def _percent(share: float) -> str:
    """Write a share as a percentage; less than all is never 100, more than nothing never 0."""
    return "100 %" if share >= 1 else f"{min(99, max(1, round(share * 100)))} %"


def spilled(info: CoreInfo, *, gpu: bool = False) -> list[tuple[ModelInfo, float]]:
    """Return the models that lie in system RAM in part, with that share, although they should not.

    They should not if some of a model is in GPU memory, or if the server is on this machine, which has a `gpu`."""
    expects = gpu and info.kind == "ollama" and any(host in info.where for host in LOOPBACK)
    shares = [(model, vram_share(model)) for model in info.models if model.loaded]
    return [(model, 1 - share) for model, share in shares if share is not None and share < 1 and (share > 0 or expects)]


def spill_field(info: CoreInfo, *, gpu: bool = False) -> list[Field]:
    """Return the warning in a few words, for a pane with room for one line."""
    found = spilled(info, gpu=gpu)
    return [field(f"{_percent(part)} of {cut(model.name, MAX_NAME)} in RAM", "warn") for model, part in found]


def warnings(info: CoreInfo, width: int, *, gpu: bool = False) -> list[FieldEntry]:
    """Return a line for each model that lies in system RAM in part, and the remedy."""
    loaded = sum(model.loaded for model in info.models)
    found: list[FieldEntry] = []
    for model, part in spilled(info, gpu=gpu):
        reason = f": {_percent(part) if part < 1 else 'all of it'} is in system RAM, so it is slow"
        line = f"! {cut(model.name, max(8, width - len(reason) - 2))}{reason}"
        found.append(FieldEntry(WARNING, ((cut(line, width), "warn"),)))
        other = "unload the other one, " if loaded == 2 else "unload the others, " if loaded > 2 else ""
        advice = f"To have it all in GPU memory: {other}take a smaller context (num_ctx) or a smaller model."
        if part == 1:
            advice = f"The server does not use the GPU: its log says why. {advice}"
        found += [FieldEntry(MORE, (("  ", ""), (line, "dim"))) for line in wrap(advice, width - 2)]
    return found
