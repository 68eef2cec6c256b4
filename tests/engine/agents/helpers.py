"""An agent context that answers from a list and records what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.agents.protocol import Reply
from engine.cores.port import Message, ToolCall
from engine.task import GenerationOptions, TaskSpec


@dataclass(frozen=True)
class Request:
    messages: tuple[Message, ...]
    options: GenerationOptions | None
    model: str | None
    tools: tuple[Mapping[str, Any], ...] = ()

    @property
    def last(self) -> str:
        return self.messages[-1].content


@dataclass
class RecordingContext:
    """Answers the n-th request with `answer(n)`, n from 1; the first one with `calls`, too."""

    spec: TaskSpec
    answer: Callable[[int], str] = lambda n: f"reply {n}"
    requests: list[Request] = field(default_factory=list)
    takes_tools: str | None = None
    calls: tuple[ToolCall, ...] = ()

    async def llm(
        self,
        messages: str | Sequence[Message],
        *,
        options: GenerationOptions | None = None,
        model: str | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> Reply:
        turns = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        self.requests.append(Request(turns, options, model, tuple(tools)))
        calls, self.calls = self.calls, ()
        return Reply(self.answer(len(self.requests)), thinking="hidden", tool_calls=calls)

    def tool_model(self) -> str | None:
        return self.takes_tools
