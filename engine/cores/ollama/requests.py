"""An attempt as a request to an Ollama server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.cores.port import Attempt, Message, ToolCall
from engine.task import GenerationOptions

_NAMES = {"max_tokens": "num_predict"}
_OPTIONS = ("max_tokens", "temperature", "seed", "num_ctx", "top_k", "top_p", "min_p", "repeat_penalty", "stop")
"""Options that go into the request's `options`; the others stand beside them."""


class UnfitError(Exception):
    """The server has no request for this attempt; the text is the reason."""


def request_of(model: str, attempt: Attempt, without: frozenset[str] = frozenset()) -> tuple[str, dict[str, Any]]:
    """Return path and body of the request. Raises UnfitError for tools without a chat.

    `without`: options to leave out.
    """
    wanted = attempt.options
    body: dict[str, Any] = {"model": model, "stream": True}
    if options := _options(wanted):
        body["options"] = options
    beside = {"think": wanted.think, "format": wanted.format, "keep_alive": _keep_alive(wanted.keep_alive)}
    body |= {name: value for name, value in beside.items() if value is not None and name not in without}
    if wanted.endpoint in (None, "chat"):
        body["messages"] = [_message(message) for message in attempt.messages]
        if attempt.tools:
            body["tools"] = list(attempt.tools)
        return "/api/chat", body
    if attempt.tools:
        raise UnfitError("tools can only be called in a chat: leave out the option endpoint")
    body["prompt"] = attempt.messages[-1].content if attempt.messages else ""
    if wanted.endpoint == "raw":
        body["raw"] = True
    elif system := "\n\n".join(message.content for message in attempt.messages[:-1] if message.role == "system"):
        body["system"] = system
    return "/api/generate", body


def _options(wanted: GenerationOptions) -> dict[str, Any]:
    """Return the set options by Ollama's names; the model's file decides the others."""
    given = {_NAMES.get(name, name): getattr(wanted, name) for name in _OPTIONS}
    return {name: list(value) if name == "stop" else value for name, value in given.items() if value is not None}


def _keep_alive(value: str | None) -> str | int | None:
    """Convert: the server wants a unit in a string, and a number of seconds without; a negative one is for ever."""
    return int(value) if value in ("0", "-1") else value


def _message(message: Message) -> Mapping[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role == "tool":
        body |= {"tool_name": message.tool} if message.tool else {}
        body |= {"tool_call_id": message.call} if message.call else {}
    return body


def _call(call: ToolCall) -> Mapping[str, Any]:
    function = {"name": call.name, "arguments": dict(call.arguments)}
    return {"id": call.id, "function": function} if call.id else {"function": function}
