"""The execution port: the contract between the kernel and whatever executes llm syscalls.

A core runs one attempt on one slot. It never orders, retries or persists: the kernel does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from engine.task import DEFAULT_PRIORITY, GenerationOptions

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that a model asks for. `arguments` is a JSON object; `id` is empty if the server gives none."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, as the model gets it.

    Attributes:
        tool_calls: the calls that an assistant's turn asked for. tool, call: of a turn with the role `tool`, the tool
            that answered and the id of the call.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool: str = ""
    call: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of an llm syscall. `(task, round, number)` is unique over all of a history.

    Attributes:
        round: 1 for the agent's first llm syscall. number: 1 for the first try at it.
        model: the model by name, None for the core's own default.
        tools: the tools that the model may call, each `{"type": "function", "function": {"name", "description",
            "parameters"}}`; for models without tool support the agent describes them in the messages instead.
        priority: its task's, for a server that has priorities of its own.
        dispensable: names of options that the agent set and the task did not; a core that cannot honour one of them
            leaves it out, see `engine.cores.options`.
    """

    task: int
    round: int
    number: int
    messages: tuple[Message, ...]
    model: str | None = None
    options: GenerationOptions = field(default_factory=GenerationOptions)
    tools: tuple[Mapping[str, Any], ...] = ()
    priority: int = DEFAULT_PRIORITY
    dispensable: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[int, int, int]:
        """Its identity: `(task, round, number)`."""
        return (self.task, self.round, self.number)


class SlotState(StrEnum):
    """`unproven`: the server may not run this many attempts at a time; the slot is neither offered nor shown."""

    UP = "up"
    UNPROVEN = "unproven"
    SUSPECT = "suspect"
    DRAINING = "draining"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Slot:
    """Runs one attempt at a time. `id` is unique over all cores, such as `ollama/0`."""

    id: str
    core: str
    state: SlotState = SlotState.UP
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SlotEvent:
    """A change that a core reports by itself. `slot` None means all of its slots.

    `models`: its models may have changed. `notice`: `reason` is a line for the operator, and no slot has changed.
    """

    kind: Literal["up", "suspect", "down", "unproven", "models", "notice"]
    slot: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream. `progress` chunks carry no text: `done` of `total` prompt tokens have been read."""

    kind: Literal["text", "thinking", "progress"]
    text: str = ""
    tokens: int = 1
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of an attempt as its core reports it: tokens counted by the model, seconds by the core's clock."""

    tokens_in: int = 0
    tokens_out: int = 0
    load_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


class FaultKind(StrEnum):
    """The kind of a failure. The history stores the value.

    `no_memory`: the model needs more memory than there is. `refused`: the key is wrong, missing, or not permitted.
    """

    UNREACHABLE = "unreachable"
    NO_MODEL = "no_model"
    NO_MEMORY = "no_memory"
    BUSY = "busy"
    REFUSED = "refused"
    BAD_REQUEST = "bad_request"
    BROKEN_STREAM = "broken_stream"
    FIRST_TOKEN_TIMEOUT = "first_token_timeout"  # noqa: S105  (a token of text)
    GAP_TIMEOUT = "gap_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    SERVER = "server"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Done:
    """The attempt succeeded. `model` answered; `reason` is why it stopped (`stop`, `length`, `tool_calls`)."""

    model: str
    usage: Usage = field(default_factory=Usage)
    reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The attempt never started; it may be tried again, and does not count."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The attempt failed. `retryable`: the same attempt may succeed later.

    `model` is the name that was asked for; a core sets it when `kind` is NO_MODEL and there was a name.
    """

    kind: FaultKind
    reason: str
    retryable: bool
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The attempt was cancelled, and the model has stopped."""


@dataclass(frozen=True, slots=True)
class Lost:
    """It is unknown if the attempt still runs; its slot is quarantined."""

    reason: str


Outcome = Done | Rejected | Fault | Cancelled | Lost


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a core has. Sizes in bytes; None for a fact that the core does not report.

    Attributes:
        loaded: it is in memory now. size_vram: the part of `size_loaded` in GPU memory.
        expires_at: the time of its unloading, Unix seconds.
        aliases: other names that the core accepts for it, such as the name without `:latest`.
        capabilities: `completion`, `tools`, `thinking`, `vision`, `embedding` …; None if the core does not report them.
    """

    name: str
    size: int | None = None
    loaded: bool = False
    size_loaded: int | None = None
    size_vram: int | None = None
    expires_at: float | None = None
    context_length: int | None = None
    detail: str = ""
    aliases: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = None

    @property
    def chats(self) -> bool:
        """True if it can answer a prompt, or reports no capabilities."""
        return not self.capabilities or "completion" in self.capabilities

    def answers_to(self, name: str) -> bool:
        """Return True if `name` is its name or an alias."""
        return name == self.name or name in self.aliases


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """The state of a core. `why` is the reason for its choice, `detail` the problem of one that is not healthy.

    Attributes:
        kind: `ollama`, `openai` or a plug-in's kind; may be empty. where: its address, without any key.
        slots_from: the source of the number of its slots: `configured`, `learnt`, `being learnt`, or the name of an
            environment variable; empty if inherent.
        one_model: it holds one model in memory at a time, so another one means a swap.
    """

    name: str
    healthy: bool
    default_model: str | None
    models: tuple[ModelInfo, ...] = ()
    version: str = ""
    where: str = ""
    why: str = ""
    detail: str = ""
    kind: str = ""
    slots_from: str = ""
    one_model: bool = False


@runtime_checkable
class Explaining(Protocol):
    """A core that may know why an attempt has no token yet."""

    def waiting_for(self, attempt: Attempt) -> str:
        """Return the reason, in a few words; empty if it is unknown."""


class Core(Protocol):
    """An embedded model, a model server, or a script: the kernel treats them alike.

    Every core passes the suite in `engine/testing/conformance.py`.
    """

    @property
    def name(self) -> str:
        """A short name, unique among the cores of a kernel: `embedded`, `ollama`, `scripted`."""

    async def start(self) -> None:
        """Get ready to run attempts. Raises CoreError with one line on failure."""

    async def stop(self, *, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for running attempts, cancel the rest, free everything. Idempotent."""

    def slots(self) -> Sequence[Slot]:
        """Return the slots, at least one, the same ones in the same order for the life of the core."""

    def events(self) -> AsyncIterator[SlotEvent]:
        """Return the changes from this call on, read or not; ends when the core stops."""

    def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        """Run one attempt: chunks, then exactly one Outcome, last. Raises nothing but CancelledError.

        Closing the iterator early, or cancelling its reader, stops the model as `cancel` does.
        """

    async def cancel(self, attempt: Attempt) -> None:
        """Stop the attempt at the model; its `run` then ends with Cancelled. Ignores unknown and ended ones."""

    async def inspect(self) -> CoreInfo:
        """Report health, models and loaded models now, also before `start`. Never raises for a core that is down."""
