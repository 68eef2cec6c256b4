"""A client's own llm query: a conversation, tools that the model may call, the format of the answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue

from engine.sanitise import one_line, sanitise
from engine.validation import Strict

MAX_MESSAGES = 2_000
MAX_TOOLS = 256
MAX_CONTENT_CHARS = 1_048_576
MAX_DEPTH = 100
"""Levels of nesting in JSON of clients and models: real schemas have about ten, and each level costs stack."""


def clean_json(value: Any) -> Any:
    """Sanitise every text in a JSON value, including keys. Raises ValueError for more than MAX_DEPTH levels."""
    return _cleaned(value, MAX_DEPTH)


def _cleaned(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return sanitise(value.replace("\r\n", "\n"))
    if not isinstance(value, dict | list | tuple):
        return value
    if not levels:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        return {_cleaned(key, levels): _cleaned(each, levels - 1) for key, each in value.items()}
    return [_cleaned(each, levels - 1) for each in value]


def _line(value: Any) -> Any:
    return one_line(value, 200) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_line)]


class QueryCall(Strict):
    """A tool call in an assistant's turn."""

    name: Annotated[Line, Field(min_length=1)]
    arguments: Annotated[dict[str, JsonValue], BeforeValidator(clean_json)] = {}  # noqa: RUF012
    id: Line = ""


class QueryMessage(Strict):
    """One turn of the conversation. tool, call: for the role `tool`, the tool that answered and the id of the call."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(clean_json), Field(max_length=MAX_CONTENT_CHARS)]
    tool_calls: Annotated[tuple[QueryCall, ...], Field(max_length=MAX_TOOLS)] = ()
    tool: Line = ""
    call: Line = ""


class LlmQuery(Strict):
    """The query of a task for the agent `kernel/query`.

    Attributes:
        tools: in the clients' format, each `{"type": "function", "function": {"name", "description", "parameters"}}`.
        form: `text`, or `json`: the answer must be JSON. With tools, the answer may be tool calls instead.
        json_schema: the schema of the JSON; given to the model, and enforced by cores that support it.
    """

    messages: Annotated[tuple[QueryMessage, ...], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: Annotated[tuple[dict[str, JsonValue], ...], BeforeValidator(clean_json), Field(max_length=MAX_TOOLS)] = ()
    form: Literal["text", "json"] = "text"
    json_schema: Annotated[dict[str, JsonValue] | None, BeforeValidator(clean_json)] = None
