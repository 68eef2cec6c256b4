"""What happens in the kernel, as small frozen records.

The one currency between rooms: the store keeps them, the console's reducer folds them, recorders and remote
subscribers read them. `at` is Unix seconds on the kernel's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.cores.port import CoreInfo, FaultKind, SlotState, ToolCall, Usage
from engine.task import AttemptState, KernelState, Task, TaskSpec, TaskState


@dataclass(frozen=True, slots=True)
class KernelStateChanged:
    at: float
    state: KernelState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    at: float
    policy: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class TaskAccepted:
    """A task was submitted, and is durable. `retry_of` names the ended task whose spec it repeats."""

    at: float
    task: int
    spec: TaskSpec
    retry_of: int | None = None


@dataclass(frozen=True, slots=True)
class TaskRecovered:
    """A task that an earlier run of the program left was taken up again. `submitted_at` is its own, old one.

    In a snapshot it stands for every task that has not ended. `retry_of`: as in TaskAccepted.
    """

    at: float
    task: int
    spec: TaskSpec
    priority: int
    submitted_at: float
    interrupted: bool
    retry_of: int | None = None


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task's first turn came."""

    at: float
    task: int
    dispatch_order: int
    round_total: int | None


@dataclass(frozen=True, slots=True)
class TaskRequeued:
    """A running task went back to the queue, to begin again: the program was stopped under it."""

    at: float
    task: int
    reason: str


@dataclass(frozen=True, slots=True)
class TaskReprioritised:
    at: float
    task: int
    priority: int
    previous: int


@dataclass(frozen=True, slots=True)
class TaskHeld:
    """A queued task is held, or released: while held it is not dispatched."""

    at: float
    task: int
    held: bool


@dataclass(frozen=True, slots=True)
class SyscallReady:
    """A running task's next llm syscall is ready and waits for a slot."""

    at: float
    task: int
    round: int


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """`ready_at` is when the syscall became ready: at − ready_at is its waiting time. `prompt`: its last message."""

    at: float
    task: int
    round: int
    attempt: int
    slot: str
    core: str
    model: str | None
    ready_at: float
    prompt: str


@dataclass(frozen=True, slots=True)
class AttemptProgress:
    """A piece of an executing attempt's stream. Not kept in history; the reply is, at the end."""

    at: float
    task: int
    round: int
    attempt: int
    slot: str
    kind: Literal["text", "thinking", "progress"]
    text: str
    tokens: int
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The one terminal record of an attempt. `retry_in_s` is set when another attempt will follow by itself."""

    at: float
    task: int
    round: int
    attempt: int
    slot: str
    state: AttemptState
    model: str | None = None
    reply: str = ""
    thinking: str = ""
    usage: Usage = field(default_factory=Usage)
    ttft_s: float | None = None
    service_s: float = 0.0
    fault: FaultKind | None = None
    error: str | None = None
    retry_in_s: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """The one terminal record of a task, published when it is durable. `task` is a copy that changes no more."""

    at: float
    task: int
    state: TaskState
    final: Task


@dataclass(frozen=True, slots=True)
class CoreChanged:
    """A core was inspected: its health, models and memory as they are now."""

    at: float
    info: CoreInfo


@dataclass(frozen=True, slots=True)
class SwapPlanned:
    """The next ready item, in order, for which a core has to load a model; without `to_model` there is none any more.

    Attributes:
        from_model: what the core holds now. task: whose item it is.
        passes_left: how often affinity still lets others go before it; 0 without affinity, None without such a bound.
        until: when affinity lets no more go before it, Unix s; None before the first did, or without such a bound.
    """

    at: float
    core: str
    from_model: str
    to_model: str
    task: int
    passes_left: int | None = 0
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ModelSwapped:
    """An attempt began on a core that holds one model at a time, and its model takes the place of another one.

    How long the load took is `usage.load_s` of that attempt's end.
    """

    at: float
    core: str
    slot: str
    task: int
    from_model: str
    to_model: str


@dataclass(frozen=True, slots=True)
class SlotChanged:
    at: float
    slot: str
    core: str
    state: SlotState
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the operator should be told, that belongs to no task."""

    at: float
    level: Literal["info", "warning", "error"]
    text: str


Event = (
    KernelStateChanged
    | PolicyChanged
    | TaskAccepted
    | TaskRecovered
    | TaskStarted
    | TaskRequeued
    | TaskReprioritised
    | TaskHeld
    | SyscallReady
    | AttemptStarted
    | AttemptProgress
    | AttemptEnded
    | TaskEnded
    | CoreChanged
    | SlotChanged
    | SwapPlanned
    | ModelSwapped
    | Notice
)

Durable = (
    PolicyChanged
    | TaskAccepted
    | TaskStarted
    | TaskRequeued
    | TaskReprioritised
    | TaskHeld
    | AttemptStarted
    | AttemptEnded
    | TaskEnded
)
