"""Telemetry: real numbers of this machine, GPUs from NVML, and one line where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.telemetry import GpuProcess, GpuSample, Telemetry
from engine.telemetry.gpu import MAX_PROCESSES, GpuProbe, Nvml
from tests.engine.telemetry.fake_nvml import FakeNvml, NVMLError, NVMLError_DriverNotLoaded


def test_the_machines_own_numbers() -> None:
    sample = Telemetry(FakeNvml).sample()
    assert 0 <= sample.cpu_percent <= 100
    assert 0 < sample.process_rss < sample.ram_used < sample.ram_total


def test_cards_are_told_in_bytes_percent_degrees_and_watts() -> None:
    sample = Telemetry(lambda: FakeNvml(cards=2)).sample()
    assert sample.gpu_note == ""
    assert sample.gpus == (
        GpuSample(0, "Fake RTX 0", 87.0, 6_100_000_000, 8_000_000_000, 61.0, 145.5),
        GpuSample(1, "Fake RTX 1\ufffd[2J", 86.0, 6_100_000_000, 8_000_000_000, 61.0, 145.5),
    )


def test_nvml_is_initialised_once_and_let_go_once() -> None:
    nvml = FakeNvml()
    telemetry = Telemetry(lambda: nvml)
    for _ in range(3):
        telemetry.sample()
    telemetry.close()
    telemetry.close()
    assert (nvml.calls.count("nvmlInit"), nvml.calls.count("nvmlShutdown")) == (1, 1)
    after = telemetry.sample()
    assert (after.gpus, after.gpu_note) == ((), "GPU telemetry is closed")


def test_closing_what_was_never_sampled_touches_nothing() -> None:
    nvml = FakeNvml()
    Telemetry(lambda: nvml).close()
    assert nvml.calls == []


def test_what_a_card_does_not_tell_is_none() -> None:
    unsupported = NVMLError("Not Supported")
    nvml = FakeNvml(failing={"nvmlDeviceGetPowerUsage": unsupported, "nvmlDeviceGetUtilizationRates": unsupported})
    (gpu,) = Telemetry(lambda: nvml).sample().gpus
    assert (gpu.power, gpu.utilisation) == (None, None)
    assert (gpu.temperature, gpu.memory_total) == (61.0, 8_000_000_000)


def test_a_card_that_falls_away_is_a_note_and_may_come_back() -> None:
    nvml = FakeNvml()
    telemetry = Telemetry(lambda: nvml)
    assert len(telemetry.sample().gpus) == 1
    lost = NVMLError("GPU is lost")
    nvml.failing = {"nvmlDeviceGetMemoryInfo": lost, "nvmlDeviceGetUtilizationRates": lost}
    sample = telemetry.sample()
    assert (sample.gpus, sample.gpu_note) == ((), "the GPU does not answer: GPU is lost")
    assert sample.ram_total > 0
    nvml.failing = {}
    assert (len(telemetry.sample().gpus), telemetry.sample().gpu_note) == (1, "")


def test_programs_on_a_card_are_named_with_their_memory_the_largest_first() -> None:
    gone = 4_000_000_000  # no process has such an id
    nvml = FakeNvml()
    nvml.processes = [(gone, 300_000_000), (os.getpid(), 5_800_000_000), (gone + 1, None), (gone + 2, (1 << 64) - 1)]
    (gpu,) = Telemetry(lambda: nvml).sample().gpus
    assert gpu.processes == (
        GpuProcess(os.getpid(), psutil.Process().name(), 5_800_000_000),
        GpuProcess(gone, f"pid {gone}", 300_000_000),
        GpuProcess(gone + 1, f"pid {gone + 1}", None),
        GpuProcess(gone + 2, f"pid {gone + 2}", None),
    )


def test_what_programs_call_themselves_is_not_trusted() -> None:
    def hostile(pid: int) -> str:
        return "\x1b]0;owned\x07" + "x" * 500 if pid == 1 else "\n"

    nvml = FakeNvml()
    nvml.processes = [(1, 2), (2, 1)]
    ((gpu,), _) = GpuProbe(lambda: nvml, hostile).sample()
    assert [process.name[:9] for process in gpu.processes] == ["\ufffd]0;owned", "pid 2"]
    assert len(gpu.processes[0].name) <= 60


def test_a_crowded_card_and_one_that_tells_no_programs() -> None:
    nvml = FakeNvml()
    nvml.processes = [(4_000_000_000 + n, n) for n in range(100)]
    telemetry = Telemetry(lambda: nvml)
    (gpu,) = telemetry.sample().gpus
    assert [process.memory for process in gpu.processes] == list(range(99, 99 - MAX_PROCESSES, -1))
    nvml.failing = {"nvmlDeviceGetComputeRunningProcesses": NVMLError("Not Supported")}
    (gpu,) = telemetry.sample().gpus
    assert (gpu.processes, gpu.utilisation) == ((), 87.0)


@pytest.mark.parametrize(
    ("cards", "failing", "note"),
    [
        (0, {}, "no NVIDIA GPU here: the driver lists no device"),
        (
            1,
            {"nvmlInit": NVMLError_DriverNotLoaded("Driver Not Loaded")},
            "no NVIDIA GPU here: its driver is not loaded",
        ),
        (1, {"nvmlInit": NVMLError("RM has\ndetected a mismatch")}, "no NVIDIA GPU here: RM has detected a mismatch"),
        (1, {"nvmlDeviceGetCount": NVMLError("Unknown Error")}, "no NVIDIA GPU here: Unknown Error"),
        (1, {"nvmlDeviceGetHandleByIndex": NVMLError()}, "no NVIDIA GPU here: NVMLError"),
    ],
)
def test_what_is_missing_is_one_calm_line(cards: int, failing: dict[str, Exception], note: str) -> None:
    nvml = FakeNvml(cards, failing)
    telemetry = Telemetry(lambda: nvml)
    assert [(telemetry.sample().gpus, telemetry.sample().gpu_note) for _ in range(2)] == [((), note)] * 2
    assert nvml.calls.count("nvmlInit") == 1, "what is not there is not asked for again and again"
    telemetry.close()
    assert nvml.calls.count("nvmlShutdown") == nvml.calls.count("nvmlDeviceGetCount"), "as often as init went well"


def test_a_missing_package_is_one_calm_line() -> None:
    def missing() -> Nvml:
        raise ImportError("No module named 'pynvml'")

    assert Telemetry(missing).sample().gpu_note == (
        "no NVIDIA GPU here: the Python package nvidia-ml-py is not installed"
    )


def test_the_real_library_on_this_machine() -> None:
    """With a GPU or without: numbers or one line, never both missing, and nothing raised."""
    telemetry = Telemetry()
    sample = telemetry.sample()
    telemetry.close()
    assert bool(sample.gpus) != bool(sample.gpu_note)
    if not sample.gpus:
        assert sample.gpu_note.startswith("no NVIDIA GPU here: ")
        assert "\n" not in sample.gpu_note


def test_pynvml_is_not_imported_before_the_first_sample() -> None:
    code = "import sys; from engine.telemetry import Telemetry; Telemetry(); print('pynvml' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
