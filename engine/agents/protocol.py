"""What an agent is to the kernel, and the kernel to an agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict

from engine.cores.port import Message, ToolCall, Usage
from engine.task import GenerationOptions, TaskSpec


class AgentResult(TypedDict):
    """What an agent returns, as AIOS agents do."""

    agent_name: str
    result: str
    rounds: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer to one llm syscall. `thinking` is kept apart from `text`."""

    text: str
    thinking: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    tool_calls: tuple[ToolCall, ...] = ()


class AgentContext(Protocol):
    """An agent's way to the kernel, for one task."""

    @property
    def spec(self) -> TaskSpec:
        """The task."""

    async def llm(
        self,
        messages: str | Sequence[Message],
        *,
        options: GenerationOptions | None = None,
        model: str | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> Reply:
        """Make one llm syscall and wait for its reply: one round.

        The task's own options and model come before what the agent asks for here. `tools` as in `Attempt`.

        Raises:
            SyscallFailed: it failed, after all its attempts. An agent may catch it and go on.
        """

    def tool_model(self) -> str | None:
        """The model that would answer now, if it takes tools as such; None where they are better described to it.

        Asked before the first `llm`, and named there as its `model`, so that no other one answers.
        """


class Agent(Protocol):
    """A program that carries a task out in one or more rounds."""

    @property
    def name(self) -> str:
        """The name in the catalogue, without author."""

    @property
    def description(self) -> str:
        """One line."""

    @property
    def round_total(self) -> int | None:
        """How many rounds it takes, None when that is not known before."""

    async def run(self, ctx: AgentContext) -> AgentResult:
        """Carry the task out. Any exception fails the task, with its text as the reason."""


class Agents(Protocol):
    """Where the kernel finds agents; the catalogue implements it."""

    def get(self, name: str) -> Agent:
        """The agent called `name`, given plain or as `author/name`. Raises UsageError, naming near ones."""
