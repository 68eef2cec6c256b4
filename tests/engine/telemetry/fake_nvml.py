"""A stand-in for pynvml, driver and cards included, that can fail where a real one does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    pass


class NVMLError_DriverNotLoaded(NVMLError):  # noqa: N801
    pass


class FakeNvml:
    """`failing` names the calls that raise; change it between samples."""

    def __init__(self, cards: int = 1, failing: dict[str, Exception] | None = None) -> None:
        self.cards = cards
        self.failing = failing or {}
        self.calls: list[str] = []
        self.processes: list[tuple[int, int | None]] = []
        """Processes on every card: process ids and bytes."""

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]

    def nvmlInit(self) -> None:  # noqa: N802
        self._call("nvmlInit")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._call("nvmlShutdown")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._call("nvmlDeviceGetCount")
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        self._call("nvmlDeviceGetHandleByIndex")
        return index

    def nvmlDeviceGetName(self, handle: Any) -> str | bytes:  # noqa: N802
        self._call("nvmlDeviceGetName")
        return f"Fake RTX {handle}\x1b[2J" if handle else b"Fake RTX 0"

    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any:  # noqa: N802
        self._call("nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=87 - handle, memory=40)

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:  # noqa: N802
        self._call("nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(used=6_100_000_000, free=1_900_000_000, total=8_000_000_000)

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int:  # noqa: N802
        self._call("nvmlDeviceGetTemperature")
        return 61

    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int:  # noqa: N802
        self._call("nvmlDeviceGetPowerUsage")
        return 145_500

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:  # noqa: N802
        self._call("nvmlDeviceGetComputeRunningProcesses")
        return [SimpleNamespace(pid=pid, usedGpuMemory=memory) for pid, memory in self.processes]
