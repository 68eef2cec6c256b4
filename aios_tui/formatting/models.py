"""What there is to say of a model, for the command line and the console alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from aios_tui.formatting import numbers
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.cores.model_management import ModelDetails, PullProgress
    from engine.cores.port import CoreInfo, ModelInfo

_MISSING = re.compile(r"\bmodel '([^'\s]{1,300})' not found(?: at ([^\s;]{1,300}))?")
_LONG = 12


def vram_share(model: ModelInfo) -> float | None:
    """The part of a loaded model that is in GPU memory, 0 to 1: `size_vram / size`; None where it isn't told."""
    if not model.loaded or model.size_vram is None or not model.size_loaded:
        return None
    return min(1.0, max(0.0, model.size_vram / model.size_loaded))


def share_words(share: float) -> str:
    """A share as a percentage that says 100 only of all of it, and 0 only of nothing."""
    percent = round(share * 100)
    return f"{min(99, percent) if share < 1 else 100 if share >= 1 else percent} %" if share > 0 else "0 %"


def warning(model: ModelInfo) -> str:
    """What slows this model down, when part of it is not in GPU memory; empty otherwise."""
    share = vram_share(model)
    if share is None or share >= 1 or model.size_loaded is None:
        return ""
    if share <= 0:
        return "it runs on the processor: none of it is in GPU memory"
    outside = numbers.size(model.size_loaded - (model.size_vram or 0))
    return f"{outside} of {numbers.size(model.size_loaded)} sit in system RAM: that is why it is slow"


def memory(model: ModelInfo, now: float) -> str:
    """Whether it is in memory, how much of it where, and for how long."""
    if not model.loaded:
        return "not loaded"
    parts = ["loaded" if model.size_loaded is None else numbers.size(model.size_loaded)]
    share = vram_share(model)
    if share is not None:
        parts.append(f"{share_words(share)} in VRAM")
    if model.expires_at is not None:
        left = model.expires_at - now
        parts.append(f"unloads in {numbers.clock(left)}" if left > 0 else "about to be unloaded")
    return ", ".join(parts)


def details(shown: ModelDetails, now: float) -> Iterator[tuple[str, str]]:
    """A label and what it is, for each thing that is known; some texts have several lines."""
    info = shown.info
    kind = " ".join(filter(None, (shown.family, shown.parameter_size, shown.quantization, shown.facts.get("format"))))
    most = next((value for key, value in shown.facts.items() if key.endswith(".context_length")), "")
    context = [f"{info.context_length:,} now"] if info.context_length else []
    context += [f"{int(most):,} at most"] if most.isascii() and most.isdigit() else []
    changed = "" if shown.modified_at is None else _moment(shown.modified_at)
    found = (
        ("kind", kind or info.detail),
        ("size", "" if info.size is None else numbers.size(info.size)),
        ("in memory", memory(info, now)),
        ("", warning(info)),
        ("context", ", ".join(context)),
        ("abilities", ", ".join(info.capabilities or ())),
        ("also called", ", ".join(info.aliases)),
        ("changed", changed),
        ("parameters", "\n".join(" ".join(line.split()) for line in shown.parameters.splitlines())),
        ("system", shown.system.strip()),
        ("template", shown.template.strip()),
        ("license", _start(shown.license)),
    )
    return ((label, text) for label, text in found if text)


def _start(text: str) -> str:
    """The first lines of a long text, and how many there are beyond."""
    lines = text.strip().splitlines()
    more = [f"… and {len(lines) - _LONG} more lines"] if len(lines) > _LONG else []
    return "\n".join([*lines[:_LONG], *more])


def _moment(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return ""


def progress_words(progress: PullProgress, rate: float | None = None) -> str:
    """How far a pull is: `pulling 6e9f90f02bb3  43 %  2.2 of 5.2 GB  31 MB/s  1:37 left`."""
    parts = [progress.status]
    if progress.total:
        parts.append(f"{int(100 * progress.done / progress.total)} %")
        parts.append(f"{numbers.size(progress.done)} of {numbers.size(progress.total)}")
        if rate and progress.done < progress.total:
            parts.append(f"{numbers.size(rate)}/s")
            parts.append(f"{numbers.clock((progress.total - progress.done) / rate)} left")
    return "  ".join(parts)


def missing_model(error: str) -> str | None:
    """The model that a task failed for the lack of, out of its error in the words that all cores use; else None."""
    found = _MISSING.search(error)
    return one_line(found[1], 300) if found else None


def core_that_lacks(error: str, cores: Iterable[CoreInfo]) -> str | None:
    """The core whose address that error gives as the one where the model was not found; None where it gives none."""
    found = _MISSING.search(error)
    return next((core.name for core in cores if found and core.where and core.where == found[2]), None)
