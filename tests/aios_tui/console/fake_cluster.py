"""A scene with three cores: a card that holds a model only in part, the embedded model, and a host that is down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from engine import events as e
from engine.cores.port import CoreInfo, FaultKind, ModelInfo, SlotState, Usage
from engine.task import AttemptState, KernelState, TaskSpec, TaskState
from engine.telemetry import GpuSample
from engine.telemetry.gpu import GpuProbe
from tests.aios_tui.console import scene
from tests.engine.telemetry.fake_nvml import FakeNvml

NOW = scene.NOW
COMMITTEE = "The harbour committee met on Tuesday and agreed to paint the"
WHY_DOWN = "Ollama at http://attic.lan:11434 does not answer: connection refused"
SPILT = ModelInfo(
    "qwen3:8b", 5_200_000_000, True, 10_600_000_000, 6_570_000_000, expires_at=NOW + 252, context_length=8192
)
OTHER = ModelInfo("llama3.2:3b", 2_000_000_000)
EMBEDDED = ModelInfo("smollm2:135m", 98_362_432, True, context_length=8192, detail="135M Q4_1")


def cores() -> Iterator[e.Event]:
    """Each core's own report."""
    at = NOW - 900
    yield e.KernelStateChanged(at, KernelState.RUNNING)
    yield e.PolicyChanged(at, "npps", None)
    for slot in ("gpu-box/0", "gpu-box/1", "embedded/0"):
        yield e.SlotChanged(at, slot, slot.partition("/")[0], SlotState.UP, "")
    yield e.SlotChanged(at, "gpu-box/2", "gpu-box", SlotState.UNPROVEN, "")
    yield e.SlotChanged(NOW - 70, "attic/0", "attic", SlotState.DOWN, WHY_DOWN)
    gpu = CoreInfo("gpu-box", True, "qwen3:8b", (SPILT, OTHER), "0.35.1", "http://127.0.0.1:11434", kind="ollama")
    yield e.CoreChanged(NOW - 1, gpu)
    yield e.CoreChanged(NOW - 1, CoreInfo("embedded", True, "smollm2:135m", (EMBEDDED,), kind="embedded"))
    yield e.SwapPlanned(NOW - 1, "gpu-box", "qwen3:8b", "llama3.2:3b", 18, 3, NOW + 12)
    yield e.CoreChanged(NOW - 70, CoreInfo("attic", False, None, detail=WHY_DOWN, kind="ollama"))


def round_trip(
    task: int, slot: str, since: float, length: float, *, tokens: int, model: str, wait: float = 1.0, load: float = 0.0
) -> Iterator[e.Event]:
    """A task of one round that streamed steadily, and has ended."""
    yield e.TaskAccepted(since - wait, task, TaskSpec(prompt="x"))
    yield e.TaskStarted(since, task, task, 1)
    core = slot.partition("/")[0]
    yield e.AttemptStarted(since, task, 1, 1, slot, core, model, since - wait, "x")
    first = since + load + 0.3
    for n in range(tokens):
        when = first + (length - load - 0.3) * n / tokens
        yield e.AttemptProgress(when, task, 1, 1, slot, "text", "x ", 1)
    usage = Usage(20, tokens, load_s=load)
    yield e.AttemptEnded(since + length, task, 1, 1, slot, AttemptState.DONE, model, "x", usage=usage)
    yield scene.ended(task, TaskState.DONE, NOW - since - length, text=f"The answer of task {task}.")


def past() -> Iterator[e.Event]:
    """Five minutes in which two models took turns on one card, and one request in nine failed."""
    for n in range(9):
        since, model = NOW - 290 + 29 * n, "llama3.2:3b" if n in (3, 4) else "qwen3:8b"
        load = 7.0 if n in (3, 5) else 0.0
        tokens = 90 + round(60 * math.sin(n))
        yield from round_trip(100 + n, "gpu-box/0", since, 24, tokens=tokens, model=model, wait=0.8 + n, load=load)
        if n == 6:
            yield e.TaskAccepted(since, 200, TaskSpec(prompt="x"))
            yield e.TaskStarted(since, 200, 200, 1)
            yield e.AttemptStarted(since, 200, 1, 1, "gpu-box/1", "gpu-box", None, since, "x")
            error = "Ollama is busy: its queue is full"
            yield e.AttemptEnded(
                since + 1, 200, 1, 1, "gpu-box/1", AttemptState.FAILED, fault=FaultKind.BUSY, error=error
            )
            yield scene.ended(200, TaskState.FAILED, NOW - since - 1, text=error)
    for n in range(5):
        at = NOW - 240 + 50 * n
        yield from round_trip(300 + n, "embedded/0", at, 20 + 4 * n, tokens=200 + 90 * n, model="smollm2:135m")


def gpus(cards: int = 1) -> tuple[GpuSample, ...]:
    """Cards as the fake NVML reports them, on which an Ollama computes and something that can't be named."""
    nvml = FakeNvml(cards)
    nvml.processes = [(1, 5_800_000_000), (2, 210_000_000)]
    return GpuProbe(lambda: nvml, lambda pid: "ollama" if pid == 1 else "").sample()[0]


def whole() -> list[e.Event]:
    """All of it, with two streams that run now."""
    return [
        *cores(),
        *scene.ends(),
        *sorted(past(), key=lambda event: event.at),
        *streaming(9, "gpu-box/0", "qwen3:8b", tokens=104),
        *streaming(10, "embedded/0", "smollm2:135m", tokens=30, text=COMMITTEE),
        *scene.queued(),
    ]


def streaming(task: int, slot: str, model: str, *, tokens: int, text: str = scene.STORY) -> Iterator[e.Event]:
    """As the scene's, on another core."""
    core = slot.partition("/")[0]
    for event in scene.streaming(task, slot, text=text, tokens=tokens):
        if isinstance(event, e.AttemptStarted):
            yield replace(event, core=core, model=model)
        else:
            yield replace(event, model=model) if isinstance(event, e.AttemptEnded) else event
