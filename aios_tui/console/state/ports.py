"""Protocols of the runtime and the kernel as the console uses them; the fakes in tests implement them, too."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.cores.port import Core
from engine.events import Event
from engine.store import Recovery
from engine.task import Task, TaskRecord, TaskSpec, TaskState

if TYPE_CHECKING:
    from engine.agents.catalogue import AgentCatalogue
    from engine.telemetry import TelemetrySample
    from persistence import Activity
    from persistence.rows import AgentRow, TaskDetail


class SubscriptionPort(Protocol):
    """A kernel's event stream: see `engine.kernel.Subscription`."""

    @property
    def lost(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    def drain(self) -> list[Event]: ...
    async def wait(self) -> None: ...
    def close(self) -> None: ...


class KernelPort(Protocol):
    """The kernel as the console uses it: see `engine.kernel.Kernel`."""

    @property
    def cores(self) -> Sequence[Core]: ...
    async def submit(self, spec: TaskSpec) -> int: ...
    async def submit_many(self, specs: Sequence[TaskSpec]) -> list[int]: ...
    async def wait(self, task_id: int) -> Task: ...
    async def cancel(self, task_id: int, reason: str = ...) -> bool: ...
    async def retry(self, task_id: int) -> int: ...
    def reprioritise(self, task_id: int, priority: int) -> bool: ...
    def hold(self, task_id: int) -> bool: ...
    def release(self, task_id: int) -> bool: ...
    def switch_policy(self, policy: str) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    async def drain(self) -> None: ...
    def subscribe(self) -> SubscriptionPort: ...
    def snapshot(self) -> list[Event]: ...
    def upcoming(self, limit: int) -> Sequence[tuple[int, int]]: ...
    def inspect(self, name: str | None = ...) -> Awaitable[object]: ...


class HistoryPort(Protocol):
    """The read side of the history."""

    async def list(self, *, limit: int = ...) -> Sequence[TaskRecord]:
        """Return the newest tasks, newest first."""

    async def counts(self) -> dict[TaskState, int]:
        """Return the number of tasks by state."""

    async def by_agent(self) -> Mapping[str, AgentRow]:
        """Return each agent's figures by its plain name."""

    async def timings(self, limit: int | None = ...) -> Sequence[tuple[str | None, int, int, float, float]]:
        """Return model, tokens in, tokens out, prefill and decoding seconds of the newest successful attempts."""

    async def show(self, task_id: int) -> TaskDetail | None:
        """Return everything about a task; None if it does not exist."""

    async def activity(self, since: float, until: float, buckets: int = ...) -> Activity:
        """Return the activity from `since` to `until`, Unix seconds, in equal buckets."""


class TelemetryPort(Protocol):
    """Samples this machine; blocks for some milliseconds."""

    def sample(self) -> TelemetrySample: ...


class ConsoleRuntime(Protocol):
    """An opened runtime. History and agents exist from the beginning, `kernel` after `start`."""

    @property
    def kernel(self) -> KernelPort: ...
    @property
    def history(self) -> HistoryPort: ...
    @property
    def agents(self) -> AgentCatalogue: ...
    @property
    def agent_problems(self) -> Sequence[str]: ...
    @property
    def telemetry(self) -> TelemetryPort: ...
    @property
    def recording(self) -> Path | None:
        """The file of the recording; None when nothing is recorded."""

    @property
    def recorded(self) -> int:
        """The number of tasks recorded so far."""

    @property
    def recording_over(self) -> bool:
        """True once the recording ended by itself."""

    async def record(self, path: Path) -> None:
        """Record tasks submitted from now on. Raises UsageError."""

    async def stop_recording(self) -> Path | None:
        """Finish the recording. Raises UsageError."""

    async def start(self, *, recover: bool = ..., paused: bool = ...) -> Recovery:
        """Choose and start the core, and recover tasks of an earlier run. Raises AiosError."""

    async def close(self, *, drain_s: float = ...) -> None: ...
