"""The contract between an agent and the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict

from engine.cores.port import Message, ToolCall, Usage
from engine.task import GenerationOptions, TaskSpec


class AgentResult(TypedDict):
    """The result of an agent, with the fields of AIOS agents."""

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
    """The kernel as one task's agent sees it."""

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

        The task's own options and model override those given here. `tools` as in `Attempt`.

        Raises:
            SyscallFailed: it failed, after all its attempts. An agent may catch it and continue.
        """

    def tool_model(self) -> str | None:
        """Return the model that would answer now, if it takes tools; None if tools have to be described in a message.

        Call it before the first `llm` and pass the name there as `model`, so that no other model answers.
        """


class Agent(Protocol):
    """A program that executes a task in one or more rounds."""

    @property
    def name(self) -> str:
        """The name in the catalogue, without author."""

    @property
    def description(self) -> str:
        """One line."""

    @property
    def round_total(self) -> int | None:
        """The number of rounds; None if it is not known beforehand."""

    async def run(self, ctx: AgentContext) -> AgentResult:
        """Execute the task. Any exception fails the task, with its text as the reason."""


class Agents(Protocol):
    """The kernel's source of agents; the catalogue implements it."""

    def get(self, name: str) -> Agent:
        """The agent called `name`, given plain or as `author/name`. Raises UsageError, naming near ones."""
