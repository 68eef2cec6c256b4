"""Ollama's records of a stream, validated, and their conversion to chunks, tool calls and usage.

Parsed here, because the official client drops the ids of tool calls. Format:
https://github.com/ollama/ollama/blob/main/docs/api.md (`/api/chat` and `/api/generate`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, JsonValue, model_validator

from engine.cores.port import Chunk, ToolCall, Usage
from engine.cores.tool_arguments import check_json
from engine.llm_query import Line, clean_json
from engine.sanitise import sanitise

MAX_CALLS = 256


def _text(value: Any) -> Any:
    return sanitise(value.replace("\r", "")) if isinstance(value, str) else value


def _count(value: Any) -> Any:
    """Read a count: the server leaves zeros out; an absurd value is bounded."""
    return min(max(value, 0), 1 << 53) if isinstance(value, int) else value or 0


def _arguments(value: Any) -> Any:
    """Read a map, which Go may write as null if it is empty."""
    check_json(value)
    return {} if value is None else clean_json(value)


Text = Annotated[str, BeforeValidator(_text)]
Count = Annotated[int, BeforeValidator(_count)]


class _Function(BaseModel):
    name: Annotated[Line, Field(min_length=1)]
    arguments: Annotated[dict[str, JsonValue], BeforeValidator(_arguments)] = {}


class _Call(BaseModel):
    id: Line = ""
    function: _Function


class _Message(BaseModel):
    content: Text | None = None
    thinking: Text | None = None
    tool_calls: Annotated[list[_Call], Field(max_length=MAX_CALLS)] | None = None


class OllamaRecord(BaseModel):
    """One line of a stream: `message` in a chat, `response` and `thinking` otherwise. Durations in nanoseconds."""

    model: Line = ""
    created_at: str = ""
    message: _Message | None = None
    response: Text | None = None
    thinking: Text | None = None
    done: bool = False
    done_reason: Line | None = None
    total_duration: Count = 0
    load_duration: Count = 0
    prompt_eval_count: Count = 0
    prompt_eval_duration: Count = 0
    eval_count: Count = 0
    eval_duration: Count = 0

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.message is None and self.response is None:
            raise ValueError("neither a message nor a response")
        return self

    def chunks(self) -> list[Chunk]:
        """Return its texts, one token a record. A tool call has no text, but is a sign of life."""
        content = self.message or _Message(content=self.response, thinking=self.thinking)
        texts: tuple[tuple[Literal["thinking", "text"], str | None], ...]
        texts = (("thinking", content.thinking), ("text", content.content))
        found = [Chunk(kind, text) for kind, text in texts if text]
        return found or ([Chunk("progress", tokens=0)] if content.tool_calls else [])

    def calls(self) -> list[ToolCall]:
        """Return the model's tool calls."""
        calls = (self.message.tool_calls if self.message else None) or []
        return [ToolCall(call.function.name, call.function.arguments, call.id) for call in calls]

    def usage(self) -> Usage:
        """Return the statistics of the final record. The server does not count prompts that it had cached."""
        return Usage(
            tokens_in=self.prompt_eval_count,
            tokens_out=self.eval_count,
            load_s=self.load_duration / 1e9,
            prefill_s=self.prompt_eval_duration / 1e9,
            decode_s=self.eval_duration / 1e9,
        )

    def waited_s(self) -> float | None:
        """Return, for the final record, the seconds for which the request waited at the server."""
        if not self.total_duration:
            return None
        busy = self.load_duration + self.prompt_eval_duration + self.eval_duration
        return max(0, self.total_duration - busy) / 1e9

    def moment(self) -> float | None:
        """Return the time at which the server made the record, by its own clock, in Unix seconds."""
        try:
            return datetime.fromisoformat(self.created_at).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
