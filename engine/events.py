"""The kernel's events, as small frozen records.

All packages communicate by them: the store writes the durable ones, the console's reducer folds them into its view
state, recorders and remote subscribers read them. `at` is Unix seconds on the kernel's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.cores.port import CoreInfo, FaultKind, SlotState, ToolCall, Usage
from engine.task import AttemptState, KernelState, Task, TaskSpec, TaskState


@dataclass(frozen=True, slots=True)
class _Event:
    at: float


@dataclass(frozen=True, slots=True)
class _OfTask(_Event):
    task: int


@dataclass(frozen=True, slots=True)
class _OfAttempt(_OfTask):
    round: int
    attempt: int
    slot: str

    @property
    def key(self) -> tuple[int, int, int]:
        """The attempt: task, round, number."""
        return self.task, self.round, self.attempt


@dataclass(frozen=True, slots=True)
class KernelStateChanged(_Event):
    state: KernelState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicyChanged(_Event):
    policy: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class TaskAccepted(_OfTask):
    """A task was submitted and is durable. `retry_of`: the ended task whose spec it repeats."""

    spec: TaskSpec
    retry_of: int | None = None


@dataclass(frozen=True, slots=True)
class TaskRecovered(_OfTask):
    """A task that an earlier run of the program left was queued again. `submitted_at` is the time of its submission.

    In a snapshot it introduces every task that has not ended. `retry_of`: as in TaskAccepted.
    """

    spec: TaskSpec
    priority: int
    submitted_at: float
    interrupted: bool
    retry_of: int | None = None


@dataclass(frozen=True, slots=True)
class TaskStarted(_OfTask):
    """A task got its first slot, and its agent starts."""

    dispatch_order: int
    round_total: int | None


@dataclass(frozen=True, slots=True)
class TaskRequeued(_OfTask):
    """A running task went back to the queue, to start again, because the program was stopped."""

    reason: str


@dataclass(frozen=True, slots=True)
class TaskReprioritised(_OfTask):
    priority: int
    previous: int


@dataclass(frozen=True, slots=True)
class TaskHeld(_OfTask):
    """A queued task was held or released. While held it is not dispatched."""

    held: bool


@dataclass(frozen=True, slots=True)
class SyscallReady(_OfTask):
    """A running task's next llm syscall waits for a slot."""

    round: int


@dataclass(frozen=True, slots=True)
class AttemptStarted(_OfAttempt):
    """`ready_at`: when the syscall became ready; at − ready_at is its waiting time. `prompt`: the last message."""

    core: str
    model: str | None
    ready_at: float
    prompt: str


@dataclass(frozen=True, slots=True)
class AttemptProgress(_OfAttempt):
    """A chunk of an executing attempt's stream. The history stores the reply at the end, not the chunks."""

    kind: Literal["text", "thinking", "progress"]
    text: str
    tokens: int
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class AttemptEnded(_OfAttempt):
    """The only final record of an attempt. `retry_in_s`: seconds until the next attempt; None if none follows."""

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
class TaskEnded(_OfTask):
    """The only final record of a task, published once it is durable. `final` is a copy that never changes."""

    state: TaskState
    final: Task


@dataclass(frozen=True, slots=True)
class CoreChanged(_Event):
    """A core was inspected: its health and models as they are now."""

    info: CoreInfo


@dataclass(frozen=True, slots=True)
class SwapPlanned(_Event):
    """The next ready item, in order, for which a core has to load a model; `to_model` is empty if there is none.

    Attributes:
        from_model: the model that the core holds now. task: the task of the item.
        passes_left: how many others affinity may still let go first; 0 without affinity, None if not limited.
        until: the time after which affinity lets no others go first, Unix seconds; None before the first one did, or
            if not limited.
    """

    core: str
    from_model: str
    to_model: str
    task: int
    passes_left: int | None = 0
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ModelSwapped(_Event):
    """An attempt began on a core that holds one model at a time, and its model replaces another one.

    The time to load it is `usage.load_s` in the AttemptEnded of that attempt.
    """

    core: str
    slot: str
    task: int
    from_model: str
    to_model: str


@dataclass(frozen=True, slots=True)
class SlotChanged(_Event):
    slot: str
    core: str
    state: SlotState
    reason: str


@dataclass(frozen=True, slots=True)
class Notice(_Event):
    """A message for the operator that belongs to no task."""

    level: Literal["info", "warning", "error"]
    text: str


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

Event = (
    Durable
    | KernelStateChanged
    | TaskRecovered
    | SyscallReady
    | AttemptProgress
    | CoreChanged
    | SlotChanged
    | SwapPlanned
    | ModelSwapped
    | Notice
)
