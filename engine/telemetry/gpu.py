"""NVIDIA GPUs through NVML, calm where there are none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psutil

from engine.sanitise import one_line

T = TypeVar("T")

MAX_PROCESSES = 16
_NOT_AVAILABLE = (1 << 64) - 1
"""NVML_VALUE_NOT_AVAILABLE, as 64 unsigned bits."""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A program that computes on a GPU. `name` is its own, `pid 1234` where the system does not tell it.

    Attributes:
        memory: bytes of GPU memory it uses; None where the driver does not tell, as on Windows.
    """

    pid: int
    name: str
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU at one moment; what the driver does not tell is None.

    Attributes:
        utilisation: percent of the last sample period in which the GPU worked, 0 … 100.
        memory_used, memory_total: bytes. temperature: °C. power: watts.
        processes: what computes on it, at most `MAX_PROCESSES`, those with the most memory first.
    """

    index: int
    name: str
    utilisation: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None
    processes: tuple[GpuProcess, ...] = ()


class Nvml(Protocol):
    """The part of NVML that is used, by the names that pynvml gives it. Each may raise its own NVMLError."""

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlShutdown(self) -> None: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Any) -> str | bytes: ...  # noqa: N802
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> Sequence[Any]: ...  # noqa: N802


def pynvml_library() -> Nvml:
    """NVML itself, through nvidia-ml-py. Raises ImportError when that is not installed."""
    import pynvml

    library: Nvml = pynvml
    return library


def process_name(pid: int) -> str:
    """A process's name. Raises psutil.Error for one that has ended or is another user's secret."""
    return psutil.Process(pid).name()


class GpuProbe:
    """Samples every NVIDIA GPU. Never raises: what is missing is told in the note. Safe to call from threads.

    NVML is loaded and initialised once, at the first sample; where that fails, it is not tried again. `name_of` gives a
    process's name by its id, and raises psutil.Error or OSError where it can't.
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
        """The GPUs now, and the note: empty when all is well, otherwise one line on what is not there."""
        with self._lock:
            if self._note is None:
                self._note = self._open()
            if self._nvml is None:
                return (), self._note
            try:
                return tuple(self._one(self._nvml, *known) for known in self._handles), self._note
            except Exception as error:  # noqa: BLE001  (NVML's errors have no public base that is there without it)
                return (), f"the GPU does not answer: {_said(error)}"

    def close(self) -> None:
        """Let NVML go. Idempotent; samples after it say that telemetry is closed."""
        with self._lock:
            nvml, self._nvml, self._note = self._nvml, None, "GPU telemetry is closed"
            if nvml is not None:
                _quiet(nvml.nvmlShutdown)

    def _open(self) -> str:
        try:
            nvml = self._library()
            nvml.nvmlInit()
        except Exception as error:  # noqa: BLE001
            return f"no NVIDIA GPU here: {_why_absent(error)}"
        try:
            self._handles = [_known(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        except Exception as error:  # noqa: BLE001
            _quiet(nvml.nvmlShutdown)
            return f"no NVIDIA GPU here: {_said(error)}"
        if not self._handles:
            _quiet(nvml.nvmlShutdown)
            return "no NVIDIA GPU here: the driver knows of no device"
        self._nvml = nvml
        return ""

    def _one(self, nvml: Nvml, index: int, name: str, handle: Any) -> GpuSample:
        # Not every card tells everything (power on laptops, utilisation under MIG), but one that tells neither its
        # load nor its memory is lost, and its error is what the user should read.
        busy = _quiet(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        except Exception:
            if busy is None:
                raise
            memory = None
        milliwatts = _quiet(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        temperature = _quiet(lambda: nvml.nvmlDeviceGetTemperature(handle, 0))  # 0: NVML_TEMPERATURE_GPU
        return GpuSample(
            index=index,
            name=name,
            utilisation=None if busy is None else float(busy),
            memory_used=None if memory is None else _told(memory.used),
            memory_total=None if memory is None else _told(memory.total),
            temperature=None if temperature is None else float(temperature),
            power=None if milliwatts is None else milliwatts / 1000,
            processes=self._processes(nvml, handle),
        )

    def _processes(self, nvml: Nvml, handle: Any) -> tuple[GpuProcess, ...]:
        found = _quiet(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
        known = [(int(each.pid), _told(each.usedGpuMemory)) for each in found]
        known.sort(key=lambda one: (-(one[1] or 0), one[0]))
        return tuple(GpuProcess(pid, self._named(pid), memory) for pid, memory in known[:MAX_PROCESSES])

    def _named(self, pid: int) -> str:
        try:
            return one_line(self._name_of(pid), 60) or f"pid {pid}"
        except (psutil.Error, OSError):
            return f"pid {pid}"


def _known(nvml: Nvml, index: int) -> tuple[int, str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name = _quiet(lambda: nvml.nvmlDeviceGetName(handle)) or f"GPU {index}"
    return index, one_line(name.decode(errors="replace") if isinstance(name, bytes) else name, 80), handle


def _quiet(call: Callable[[], T]) -> T | None:
    """What `call` returns, None when this card or driver does not tell it."""
    try:
        return call()
    except Exception:  # noqa: BLE001
        return None


def _told(value: Any) -> int | None:
    """A number of bytes; None for what NVML or its Python package write when they have none."""
    return None if value is None or int(value) in (_NOT_AVAILABLE, -1) else int(value)


def _said(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, 120)


def _why_absent(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, ImportError):
        return "the Python package nvidia-ml-py is not installed"
    if name == "NVMLError_LibraryNotFound":
        return "NVML is not installed"
    if name == "NVMLError_DriverNotLoaded":
        return "its driver is not loaded"
    return _said(error)
