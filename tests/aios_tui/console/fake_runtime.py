"""A session whose kernel only records what it is asked: for what needs no real one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.agents.catalogue import AgentCatalogue, load_catalogue
from engine.cores.port import Core
from engine.errors import CoreError
from engine.events import Event, KernelStateChanged, TaskEnded, TaskHeld, TaskReprioritised
from engine.store import Recovery
from engine.task import KernelState, Task, TaskRecord, TaskSpec, TaskState
from engine.telemetry import GpuSample, TelemetrySample
from persistence.activity import Activity, activity
from tests.persistence.generated_activity import Made, blank, write

if TYPE_CHECKING:
    from aios_tui.console.state.ports import HistoryPort, KernelPort, SubscriptionPort, TelemetryPort
    from persistence.rows import AgentRow, TaskDetail

GIB = 1 << 30


class FakeSubscription:
    """Hands out what `events` was given."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lost = False
        self.closed = False
        self._came = asyncio.Event()

    def put(self, *events: Event) -> None:
        self.events.extend(events)
        self._came.set()

    def drain(self) -> list[Event]:
        self._came.clear()
        self.lost = False
        events, self.events = self.events, []
        return events

    async def wait(self) -> None:
        await self._came.wait()

    def close(self) -> None:
        self.closed = True


class FakeKernel:
    """Records calls in `calls`, as (name, arguments); `events` come as soon as someone subscribes."""

    cores: Sequence[Core] = ()

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.before: list[Event] = []
        """The events of a snapshot."""
        self.subscription = FakeSubscription()
        self.subscription.put(*events)
        self.next_up: list[tuple[int, int]] = []
        """The result of `upcoming`."""
        self._last = 1_000

    async def submit(self, spec: TaskSpec) -> int:
        return (await self.submit_many([spec]))[0]

    async def submit_many(self, specs: Sequence[TaskSpec]) -> list[int]:
        self.calls.append(("submit_many", list(specs)))
        ids = list(range(self._last + 1, self._last + 1 + len(specs)))
        self._last += len(specs)
        return ids

    async def wait(self, task_id: int) -> Task:
        raise KeyError(task_id)

    async def cancel(self, task_id: int, reason: str = "") -> bool:
        self.calls.append(("cancel", task_id))
        return True

    async def retry(self, task_id: int) -> int:
        self.calls.append(("retry", task_id))
        self._last += 1
        return self._last

    def reprioritise(self, task_id: int, priority: int) -> bool:
        self.calls.append(("reprioritise", task_id, priority))
        self.subscription.put(TaskReprioritised(0.0, task_id, priority, 0))
        return True

    def hold(self, task_id: int) -> bool:
        return self._hold("hold", task_id, held=True)

    def release(self, task_id: int) -> bool:
        return self._hold("release", task_id, held=False)

    def _hold(self, name: str, task_id: int, *, held: bool) -> bool:
        self.calls.append((name, task_id))
        self.subscription.put(TaskHeld(0.0, task_id, held))
        return True

    def switch_policy(self, policy: str) -> None:
        self.calls.append(("switch_policy", policy))

    def pause(self) -> None:
        self.calls.append(("pause",))
        self._state(KernelState.PAUSED)

    def resume(self) -> None:
        self.calls.append(("resume",))
        self._state(KernelState.RUNNING)

    async def drain(self) -> None:
        self.calls.append(("drain",))
        self._state(KernelState.DRAINING)

    def _state(self, state: KernelState) -> None:
        self.subscription.put(KernelStateChanged(0.0, state))

    def subscribe(self) -> SubscriptionPort:
        return self.subscription

    def snapshot(self) -> list[Event]:
        return list(self.before)

    def upcoming(self, limit: int) -> list[tuple[int, int]]:
        return self.next_up[:limit]

    async def inspect(self, name: str | None = None) -> object:
        self.calls.append(("inspect",) if name is None else ("inspect", name))
        return None


class FakeHistory:
    def __init__(self, records: Sequence[TaskRecord] = ()) -> None:
        self.records = list(records)
        self.details: dict[int, TaskDetail] = {}
        self.by_agents: dict[str, AgentRow] = {}
        self.made = Made([], ())
        """The past that metrics are worked out of."""
        self.asked: list[tuple[float, float, int]] = []
        self.timed: list[tuple[str | None, int, int, float, float]] = []

    async def list(self, *, limit: int = 100) -> Sequence[TaskRecord]:
        return self.records[:limit]

    async def counts(self) -> dict[TaskState, int]:
        return {state: sum(record.state is state for record in self.records) for state in TaskState}

    async def by_agent(self) -> Mapping[str, AgentRow]:
        return self.by_agents

    async def timings(self, limit: int | None = None) -> Sequence[tuple[str | None, int, int, float, float]]:
        return self.timed[:limit]

    async def show(self, task_id: int) -> TaskDetail | None:
        return self.details.get(task_id)

    async def activity(self, since: float, until: float, buckets: int = 60) -> Activity:
        self.asked.append((since, until, buckets))
        raw = blank()
        try:
            write(raw, self.made)
            return activity(raw, since, until, buckets, alive=True)
        finally:
            raw.close()


class FakeTelemetry:
    """One sample, for ever the same."""

    def __init__(self, gpus: tuple[GpuSample, ...] = (), note: str = "no GPU: NVML is not installed") -> None:
        self.gpus, self.note = gpus, note

    def sample(self) -> TelemetrySample:
        return TelemetrySample(
            cpu_percent=37.0,
            ram_used=5 * GIB,
            ram_total=16 * GIB,
            process_rss=210 << 20,
            gpus=self.gpus,
            gpu_note="" if self.gpus else self.note,
        )


class FakeRuntime:
    """Starts at once, or when `gate` opens; with `trouble`, never."""

    def __init__(
        self,
        events: Sequence[Event] = (),
        *,
        recovery: Recovery | None = None,
        trouble: str | None = None,
        agent_problems: Sequence[str] = (),
        gate: asyncio.Event | None = None,
    ) -> None:
        self.fake = FakeKernel(events)
        self.kernel: KernelPort = self.fake
        self.history: HistoryPort = FakeHistory(
            [TaskRecord.of(event.final) for event in events if isinstance(event, TaskEnded)]
        )
        self.telemetry: TelemetryPort = FakeTelemetry()
        self.agents: AgentCatalogue = load_catalogue(None)[0]
        self.agent_problems: Sequence[str] = agent_problems
        self.closed = 0
        self.recorded_to: Path | None = None
        self._recovery = recovery or Recovery()
        self._trouble = trouble
        self._gate = gate

    recorded = 0
    recording_over = False

    @property
    def recording(self) -> Path | None:
        return self.recorded_to

    async def record(self, path: Path) -> None:
        self.recorded_to = path

    async def stop_recording(self) -> Path | None:
        path, self.recorded_to = self.recorded_to, None
        return path

    async def start(self, *, recover: bool = True, paused: bool = False) -> Recovery:
        if self._gate is not None:
            await self._gate.wait()
        if self._trouble is not None:
            raise CoreError(self._trouble)
        return self._recovery

    async def close(self, *, drain_s: float = 0.0) -> None:
        self.closed += 1
