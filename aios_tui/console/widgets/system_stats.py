"""Lines about this machine: GPUs with their processes, processor and RAM."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aios_tui.console.widgets.cells import plain
from aios_tui.console.widgets.core_summary import GPU, HOST, MORE
from aios_tui.console.widgets.field_lines import Field, FieldEntry, cut, entries, field, lay
from aios_tui.formatting import numbers

if TYPE_CHECKING:
    from engine.telemetry import GpuSample, TelemetrySample

MAX_PROCESSES = 4


def draw_machine(sample: TelemetrySample, width: int) -> list[FieldEntry]:
    """Return a line per GPU and one for the machine, each with its continuations."""
    found: list[FieldEntry] = []
    for gpu in sample.gpus:
        label = "GPU" if len(sample.gpus) == 1 else f"GPU {gpu.index}"
        found += entries(lay(label, _gpu(gpu), width), GPU, MORE)
    if not sample.gpus:
        found += entries(lay("GPU", [field(plain(sample.gpu_note) or "none", "dim")], width), HOST, MORE)
    host = [
        field(f"{sample.cpu_percent:.0f} %"),
        field(f"RAM {numbers.part(sample.ram_used, sample.ram_total)}"),
        field(f"console {numbers.size(sample.process_rss)}", "dim"),
    ]
    return [*found, *entries(lay("CPU", host, width), HOST, MORE)]


def _gpu(gpu: GpuSample) -> list[Field]:
    found: list[Field] = []
    if gpu.utilisation is not None:
        found.append(field(f"{gpu.utilisation:.0f} %"))
    if gpu.memory_used is not None and gpu.memory_total is not None:
        found.append(field(f"VRAM {numbers.part(gpu.memory_used, gpu.memory_total)}"))
    if gpu.temperature is not None:
        found.append(field(f"{gpu.temperature:.0f} °C"))
    if gpu.power is not None:
        found.append(field(f"{gpu.power:.0f} W"))
    return [*found, *_processes(gpu), field(plain(gpu.name), "dim")]


def _processes(gpu: GpuSample) -> list[Field]:
    """Return the processes on a GPU, grouped by name: `ollama 5.8 GB`, `python ×2 1.2 GB`."""
    counts, sizes = Counter[str](), Counter[str]()
    for process in gpu.processes:
        counts[process.name] += 1
        sizes[process.name] += process.memory or 0
    found = []
    for name, memory in sizes.most_common():
        times = f" ×{counts[name]}" if counts[name] > 1 else ""
        used = f" {numbers.size(memory)}" if memory else ""
        found.append(field(f"{cut(name, 24)}{times}{used}", "dim"))
    left = len(found) - MAX_PROCESSES
    return found[:MAX_PROCESSES] + ([field(f"and {left} more", "dim")] if left > 0 else [])
