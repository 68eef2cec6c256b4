"""Sample NVIDIA GPUs through NVML; machines without one are no error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil

from engine.sanitise import one_line

T = TypeVar("T")
Nvml = Any
"""NVML by the names of pynvml, which has no types. Each function may raise an NVMLError."""

MAX_PROCESSES = 16
_NOT_AVAILABLE = (1 << 64) - 1
"""NVML_VALUE_NOT_AVAILABLE, as 64 unsigned bits."""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A program that computes on a GPU. `name` is `pid 1234` where the system hides it.

    Attributes:
        memory: bytes of GPU memory in use; None where the driver does not report it, as on Windows.
    """

    pid: int
    name: str
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU at one moment; None where the driver reports nothing.

    Attributes:
        utilisation: percent of the last sample period in which the GPU worked, 0 … 100.
        memory_used, memory_total: bytes. temperature: °C. power: watts.
        processes: programs that compute on it, at most `MAX_PROCESSES`, most memory first.
    """

    index: int
    name: str
    utilisation: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None
    processes: tuple[GpuProcess, ...] = ()


def pynvml_library() -> Nvml:
    """Return NVML through nvidia-ml-py. Raises ImportError when that is not installed."""
    import pynvml

    return pynvml


def process_name(pid: int) -> str:
    """Return a process's name. Raises psutil.Error when it has ended or access is denied."""
    return psutil.Process(pid).name()


class GpuProbe:
    """Samples every NVIDIA GPU. Never raises: a note says what is missing. Safe to call from threads.

    NVML is loaded and initialised once, at the first sample; a failure is final. `name_of` maps a process id to a name,
    and raises psutil.Error or OSError when it can't.
    """

    def __init__(
        self, library: Callable[[], Nvml] = pynvml_library, name_of: Callable[[int], str] = process_name
    ) -> None:
        self._library, self._name_of = library, name_of
        self._nvml: Nvml | None = None
        self._handles: Sequence[tuple[int, str, Any]] = ()
        self._note: str | None = None
        self._lock = threading.Lock()

    def sample(self) -> tuple[tuple[GpuSample, ...], str]:
        """Return the GPUs now, and a note: empty on success, otherwise one line on what is missing."""
        with self._lock:
            if self._note is None:
                self._note = self._open()
            if self._nvml is None:
                return (), self._note
            try:
                return tuple(self._sample_device(self._nvml, *device) for device in self._handles), self._note
            except Exception as error:  # noqa: BLE001  (NVML's errors have no public base that is there without it)
                return (), f"the GPU does not answer: {_error_text(error)}"

    def close(self) -> None:
        """Shut NVML down. Idempotent; later samples say that telemetry is closed."""
        with self._lock:
            nvml, self._nvml, self._note = self._nvml, None, "GPU telemetry is closed"
            if nvml is not None:
                _or_none(nvml.nvmlShutdown)

    def _open(self) -> str:
        try:
            nvml = self._library()
            nvml.nvmlInit()
        except Exception as error:  # noqa: BLE001
            return f"no NVIDIA GPU here: {_absence_reason(error)}"
        try:
            self._handles = [_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        except Exception as error:  # noqa: BLE001
            _or_none(nvml.nvmlShutdown)
            return f"no NVIDIA GPU here: {_error_text(error)}"
        if not self._handles:
            _or_none(nvml.nvmlShutdown)
            return "no NVIDIA GPU here: the driver lists no device"
        self._nvml = nvml
        return ""

    def _sample_device(self, nvml: Nvml, index: int, name: str, handle: Any) -> GpuSample:
        # Not every card reports everything (power on laptops, utilisation under MIG), but one that reports neither load
        # nor memory is lost, and the user should see its error.
        busy = _or_none(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        except Exception:
            if busy is None:
                raise
            memory = None
        milliwatts = _or_none(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        temperature = _or_none(lambda: nvml.nvmlDeviceGetTemperature(handle, 0))  # 0: NVML_TEMPERATURE_GPU
        return GpuSample(
            index=index,
            name=name,
            utilisation=None if busy is None else float(busy),
            memory_used=None if memory is None else _byte_count(memory.used),
            memory_total=None if memory is None else _byte_count(memory.total),
            temperature=None if temperature is None else float(temperature),
            power=None if milliwatts is None else milliwatts / 1000,
            processes=self._processes(nvml, handle),
        )

    def _processes(self, nvml: Nvml, handle: Any) -> tuple[GpuProcess, ...]:
        found = _or_none(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
        known = [(int(each.pid), _byte_count(each.usedGpuMemory)) for each in found]
        known.sort(key=lambda one: (-(one[1] or 0), one[0]))
        return tuple(GpuProcess(pid, self._name(pid), memory) for pid, memory in known[:MAX_PROCESSES])

    def _name(self, pid: int) -> str:
        try:
            return one_line(self._name_of(pid), 60) or f"pid {pid}"
        except (psutil.Error, OSError):
            return f"pid {pid}"


def _device(nvml: Nvml, index: int) -> tuple[int, str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name = _or_none(lambda: nvml.nvmlDeviceGetName(handle)) or f"GPU {index}"
    return index, one_line(name.decode(errors="replace") if isinstance(name, bytes) else name, 80), handle


def _or_none(call: Callable[[], T]) -> T | None:
    """Return the call's result, None when this card or driver does not report it."""
    try:
        return call()
    except Exception:  # noqa: BLE001
        return None


def _byte_count(value: Any) -> int | None:
    """Return a number of bytes; None for the values by which NVML and its Python package mean unknown."""
    return None if value is None or int(value) in (_NOT_AVAILABLE, -1) else int(value)


def _error_text(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, 120)


def _absence_reason(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, ImportError):
        return "the Python package nvidia-ml-py is not installed"
    if name == "NVMLError_LibraryNotFound":
        return "NVML is not installed"
    if name == "NVMLError_DriverNotLoaded":
        return "its driver is not loaded"
    return _error_text(error)
