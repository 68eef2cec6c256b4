"""Sample this machine: processor and memory through psutil, GPUs through NVML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil

from engine.telemetry.gpu import GpuProbe, GpuSample, Nvml, pynvml_library


@dataclass(frozen=True, slots=True)
class TelemetrySample:
    """The machine at one moment. Memory in bytes; 0 where the system reports nothing.

    Attributes:
        cpu_percent: all processors together since the previous sample, 0 … 100; the first sample's is since start.
        process_rss: resident memory of this process.
        gpu_note: empty on success, otherwise one line on why there is no GPU to show.
    """

    cpu_percent: float
    ram_used: int
    ram_total: int
    process_rss: int
    gpus: tuple[GpuSample, ...]
    gpu_note: str


class Telemetry:
    """Samples this machine. `sample` blocks for some milliseconds: call it in a thread, one call at a time."""

    def __init__(self, nvml: Callable[[], Nvml] = pynvml_library) -> None:
        self._gpu = GpuProbe(nvml)
        self._process = psutil.Process()
        _or_zero(lambda: psutil.cpu_percent(None))  # the first call has no interval and returns 0

    def sample(self) -> TelemetrySample:
        """Take a sample. Never raises."""
        gpus, note = self._gpu.sample()
        try:
            memory = psutil.virtual_memory()
            used, total = memory.total - memory.available, memory.total
        except (psutil.Error, OSError):
            used = total = 0
        return TelemetrySample(
            cpu_percent=_or_zero(lambda: psutil.cpu_percent(None)),
            ram_used=used,
            ram_total=total,
            process_rss=int(_or_zero(lambda: self._process.memory_info().rss)),
            gpus=gpus,
            gpu_note=note,
        )

    def close(self) -> None:
        """Close the GPU library. Idempotent."""
        self._gpu.close()


def _or_zero(read: Callable[[], float]) -> float:
    try:
        return read()
    except (psutil.Error, OSError):
        return 0.0
