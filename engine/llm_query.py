"""A client's own llm call, as it sent it: a conversation, tools that its model may call, the form of the answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from engine.sanitise import one_line, sanitise

MAX_MESSAGES = 2_000
MAX_TOOLS = 256
MAX_CONTENT_CHARS = 1_048_576


def clean_json(value: Any) -> Any:
    """Every text in a JSON value, keys too, made safe."""
    if isinstance(value, str):
        return sanitise(value.replace("\r\n", "\n"))
    if isinstance(value, dict):
        return {clean_json(key): clean_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(each) for each in value]
    return value


def _line(value: Any) -> Any:
    return one_line(value, 200) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_line)]


class QueryCall(BaseModel):
    """A call of a tool that an assistant's turn asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[Line, Field(min_length=1)]
    arguments: Annotated[dict[str, JsonValue], BeforeValidator(clean_json)] = {}
    id: Line = ""


class QueryMessage(BaseModel):
    """One turn of the conversation. tool, call: of a turn with the role `tool`, which tool answered which call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(clean_json), Field(max_length=MAX_CONTENT_CHARS)]
    tool_calls: Annotated[tuple[QueryCall, ...], Field(max_length=MAX_TOOLS)] = ()
    tool: Line = ""
    call: Line = ""


class LlmQuery(BaseModel):
    """What a task of the agent `kernel/query` carries in place of a prompt alone.

    Attributes:
        tools: as clients describe them, each `{"type": "function", "function": {"name", "description", "parameters"}}`.
        form: `text`, or `json`: the answer must be JSON. Where there are tools, it may be calls of them.
        json_schema: what the JSON is to look like; told to the model, and enforced by a core that can.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: Annotated[tuple[QueryMessage, ...], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: Annotated[tuple[dict[str, JsonValue], ...], BeforeValidator(clean_json), Field(max_length=MAX_TOOLS)] = ()
    form: Literal["text", "json"] = "text"
    json_schema: Annotated[dict[str, JsonValue] | None, BeforeValidator(clean_json)] = None
