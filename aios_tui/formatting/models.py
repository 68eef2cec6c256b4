"""Facts about models as text, for the command line and the console."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from aios_tui.formatting import numbers
from engine.cores.port import FaultKind
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.cores.model_management import ModelDetails, PullProgress
    from engine.cores.port import ModelInfo
    from engine.task import TaskFault

_LONG = 12


def vram_share(model: ModelInfo) -> float | None:
    """Return the share of a loaded model in GPU memory, 0 to 1: `size_vram / size`; None if it is not reported."""
    if not model.loaded or model.size_vram is None or not model.size_loaded:
        return None
    return min(1.0, max(0.0, model.size_vram / model.size_loaded))


def share_text(share: float) -> str:
    """Write a share as a percentage; less than all is never 100 %."""
    percent = round(share * 100)
    return f"{min(99, percent) if share < 1 else 100 if share >= 1 else percent} %" if share > 0 else "0 %"


def warning(model: ModelInfo) -> str:
    """Return a warning when part of a loaded model is not in GPU memory; empty otherwise."""
    share = vram_share(model)
    if share is None or share >= 1 or model.size_loaded is None:
        return ""
    if share <= 0:
        return "it runs on the processor: none of it is in GPU memory"
    outside = numbers.size(model.size_loaded - (model.size_vram or 0))
    return f"{outside} of {numbers.size(model.size_loaded)} sit in system RAM: that is why it is slow"


def memory(model: ModelInfo, now: float) -> str:
    """Describe a model's place in memory: size, share in GPU memory, and time left."""
    if not model.loaded:
        return "not loaded"
    parts = ["loaded" if model.size_loaded is None else numbers.size(model.size_loaded)]
    share = vram_share(model)
    if share is not None:
        parts.append(f"{share_text(share)} in VRAM")
    if model.expires_at is not None:
        left = model.expires_at - now
        parts.append(f"unloads in {numbers.clock(left)}" if left > 0 else "about to be unloaded")
    return ", ".join(parts)


def details(shown: ModelDetails, now: float) -> Iterator[tuple[str, str]]:
    """Yield a label and a text for each known fact; some texts have several lines."""
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
        ("license", _first_lines(shown.license)),
    )
    return ((label, text) for label, text in found if text)


def _first_lines(text: str) -> str:
    """Return the first lines of a long text, and the number of further lines."""
    lines = text.strip().splitlines()
    more = [f"… and {len(lines) - _LONG} more lines"] if len(lines) > _LONG else []
    return "\n".join([*lines[:_LONG], *more])


def _moment(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return ""


def progress_text(progress: PullProgress, rate: float | None = None) -> str:
    """Describe the progress of a pull: `pulling 6e9f90f02bb3  43 %  2.2 of 5.2 GB  31 MB/s  1:37 left`."""
    parts = [progress.status]
    if progress.total:
        parts.append(f"{int(100 * progress.done / progress.total)} %")
        parts.append(f"{numbers.size(progress.done)} of {numbers.size(progress.total)}")
        if rate and progress.done < progress.total:
            parts.append(f"{numbers.size(rate)}/s")
            parts.append(f"{numbers.clock((progress.total - progress.done) / rate)} left")
    return "  ".join(parts)


def missing_model(fault: TaskFault | None) -> str | None:
    """Return the model that a task failed for lack of; None if it failed for another reason, or not at all."""
    if fault is None or fault.kind != FaultKind.NO_MODEL or fault.model is None or len(fault.model.split()) != 1:
        return None
    return one_line(fault.model, 300)
