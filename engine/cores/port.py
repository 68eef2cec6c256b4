"""The execution port: all the kernel knows of whatever executes llm syscalls.

A core runs one attempt on one slot. It never orders, retries or persists: that is the kernel's.
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
    """A model's wish to have a tool called. `arguments` is a JSON object; `id` is empty where the server gives none."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, as the model is given it.

    Attributes:
        tool_calls: what an assistant's turn asked for. tool, call: of a turn with the role `tool`, the tool that
            answered and the id of the call.
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
        tools: what the model may ask to have called, each `{"type": "function", "function": {"name", "description",
            "parameters"}}`; for a core whose models take none, the agent describes them in the messages instead.
        priority: its task's, for a server that has priorities of its own.
        dispensable: names of options that the agent set and the task did not: where a model or server refuses one of
            them, the attempt goes without it.
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


class SlotState(StrEnum):
    """`unproven`: the server has not shown that it runs this many at a time; not offered, and not shown as a lane."""

    UP = "up"
    UNPROVEN = "unproven"
    SUSPECT = "suspect"
    DRAINING = "draining"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one attempt runs at a time. `id` is unique over all cores, such as `ollama/0`."""

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
    """What a core says an attempt cost: tokens counted by the model, durations in seconds by its own clock."""

    tokens_in: int = 0
    tokens_out: int = 0
    load_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


class FaultKind(StrEnum):
    """Why an attempt failed. The value is what history keeps.

    `no_memory`: the model needs more than there is. `refused`: the key is wrong or missing, or may not do this.
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
    """The attempt ended well. `model` is who answered; `reason` why it stopped (`stop`, `length`, `tool_calls`)."""

    model: str
    usage: Usage = field(default_factory=Usage)
    reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The attempt never started; it may be tried again as if it had not been."""

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
    """Nobody knows whether the attempt still runs; its slot is quarantined."""

    reason: str


Outcome = Done | Rejected | Fault | Cancelled | Lost


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a core has. Sizes in bytes; what the core does not tell is None.

    Attributes:
        loaded: it is in memory now. size_vram: the part of `size_loaded` in GPU memory.
        expires_at: when it will be unloaded, Unix seconds.
        aliases: other names by which the core takes the same model, such as one without its `:latest`.
        capabilities: `completion`, `tools`, `thinking`, `vision`, `embedding` …; None where the core does not say.
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
        """Whether it can answer a prompt; one of which nothing is said is taken at its best."""
        return not self.capabilities or "completion" in self.capabilities


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """How a core is. `why` says how it came to be chosen, `detail` what is wrong when it is not healthy.

    Attributes:
        kind: `embedded`, `ollama`, `openai`, `scripted`. where: its address, without any key.
        slots_from: how the number of its slots is known: `configured`, `learnt`, `being learnt`, or the name of the
            variable that told; empty if inherent.
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
        """What the attempt is waiting for, in a few words; empty when that is not known."""


class Core(Protocol):
    """An embedded model, a model server, or a script: to the kernel they are the same.

    Every core passes the suite in `engine/testing/conformance.py`.
    """

    @property
    def name(self) -> str:
        """A short name, unique among the cores of a kernel: `embedded`, `ollama`, `scripted`."""

    async def start(self) -> None:
        """Make ready. Raises CoreError with one line when it can't be."""

    async def stop(self, *, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for running attempts, cancel the rest, free everything. Idempotent."""

    def slots(self) -> Sequence[Slot]:
        """The slots, at least one, the same ones in the same order for the life of the core."""

    def events(self) -> AsyncIterator[SlotEvent]:
        """Changes from this call on, as they happen, read or not; ends when the core stops."""

    def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        """Run one attempt: chunks, then exactly one Outcome, last. Raises nothing but CancelledError.

        A caller that closes the iterator early, or is cancelled in it, has the model stopped as `cancel` does.
        """

    async def cancel(self, attempt: Attempt) -> None:
        """Stop the attempt at the model; its `run` then ends with Cancelled. Unknown or ended attempts: nothing."""

    async def inspect(self) -> CoreInfo:
        """Look now: health, models, what is loaded. Never raises for a core that is down: `healthy` says so."""
