"""An attempt as the body of a request, with the quirks of the server that it goes to."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from engine.cores.openai.presets import Quirks
from engine.cores.options import messages_of
from engine.cores.port import Attempt, Message
from engine.cores.response_format import response_format

Json = dict[str, Any]
_NOTHING: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def is_raw(attempt: Attempt) -> bool:
    """True if it goes to `/completions`: a bare prompt, no template."""
    return attempt.options.endpoint == "raw"


def lacking_options(attempt: Attempt, quirks: Quirks, server: str) -> dict[str, str]:
    """Return the options that a server cannot honour, each with the reason, for `OptionCheck.admit`.

    `server`: its title. A JSON schema that the attempt can do without is sent as a wish for JSON where need be.
    """
    names = {"format" if name == "response_format" else name for name in quirks.unsupported}
    names |= {"top_k", "min_p", "repeat_penalty"} - set(quirks.extensions)
    lacking = dict.fromkeys(sorted(names), f"{server} does not take it")
    lacking |= dict.fromkeys(("num_ctx", "keep_alive"), f"{server} takes it at its own start only")
    if not quirks.think:
        lacking["think"] = f"there is no known way to ask {server} for it"
    if isinstance(attempt.options.format, dict) and not quirks.json_schema and "format" not in attempt.dispensable:
        lacking["format"] = f"{server} takes json, but no schema"
    if is_raw(attempt):
        lacking |= dict.fromkeys(("think", "tools"), "a raw prompt is not a chat")
        if not quirks.raw:
            lacking["endpoint"] = f"{server} takes no raw prompts; use chat"
    return lacking


def body_of(
    attempt: Attempt, model: str, quirks: Quirks, *, priority: bool, extras: Mapping[str, Mapping[str, Any]] = _NOTHING
) -> Json:
    """Return the body for an attempt that `OptionCheck.admit` has let through.

    `priority`: send it, in vLLM's field, smaller is first. `extras`: fields to send back with a tool call, by its id.
    """
    options, body = attempt.options, Json(model=model)
    if is_raw(attempt):
        body["prompt"] = attempt.messages[-1].content if attempt.messages else ""
    else:
        body["messages"] = _messages(messages_of(attempt), extras)
        if attempt.tools:
            body["tools"] = [dict(tool) for tool in attempt.tools]
    named = {
        "temperature": options.temperature,
        "seed": options.seed,
        "top_p": options.top_p,
        "stop": list(options.stop) if options.stop else None,
        "response_format": _format(options.format, quirks),
    } | {name: getattr(options, option) for option, name in quirks.extensions.items()}
    body |= {name: value for name, value in named.items() if value is not None}
    if options.max_tokens is not None:
        # `/completions` never had the newer name.
        body["max_tokens" if is_raw(attempt) else quirks.token_limit] = options.max_tokens
    if options.think is not None:
        body |= _thinking(options.think, quirks)
    if quirks.stream_options:
        body["stream_options"] = {"include_usage": True}
    if quirks.progress:
        body["return_progress"] = True
    if priority:
        body["priority"] = attempt.priority
    return body


def learnt(quirks: Quirks, refusal: str) -> Quirks | None:
    """Return the quirks without the field that a server refused, or with its other name; None for another refusal."""
    if quirks.stream_options and "stream_options" in refusal:
        return quirks.model_copy(update={"stream_options": False})
    if "max_completion_tokens" in refusal:
        names = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
        return quirks.model_copy(update={"token_limit": names[quirks.token_limit]})
    return None


def _messages(messages: Iterable[Message], extras: Mapping[str, Mapping[str, Any]]) -> list[Json]:
    """Return the turns. Calls without an id get one, and the answers to them the same one, in their order."""
    turns: list[Json] = []
    open_calls: deque[tuple[str, str]] = deque()
    for message in messages:
        turn: Json = {"role": message.role, "content": message.content}
        if message.role == "tool":
            turn["tool_call_id"] = message.call or _answered(open_calls, message.tool)
        elif message.tool_calls:
            calls = []
            for index, call in enumerate(message.tool_calls):
                name = call.id or f"call_{len(turns)}_{index}"
                open_calls.append((call.name, name))
                function = {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)}
                extra = {"extra_content": dict(extras[name])} if name in extras else {}
                calls.append({"id": name, "type": "function", "function": function, **extra})
            turn["tool_calls"] = calls
            turn["content"] = message.content or None  # an empty text is refused by some
        turns.append(turn)
    return turns


def _answered(open_calls: deque[tuple[str, str]], tool: str) -> str:
    """Return the id of the first call without an answer, of this tool where it is named."""
    for pending in open_calls:
        if not tool or pending[0] == tool:
            open_calls.remove(pending)
            return pending[1]
    return "call_0"


def _format(wanted: str | dict[str, Any] | None, quirks: Quirks) -> Json | None:
    if wanted is None:
        return None
    return response_format(wanted if quirks.json_schema else "json")


def _thinking(think: bool | str, quirks: Quirks) -> Json:
    """Return the fields that ask the server to think or not to. Levels: `low`, `medium`, `high`."""
    level = think if isinstance(think, str) else "medium" if think else "none"
    match quirks.think:
        case "reasoning_effort":
            return {"reasoning_effort": level}
        case "groq":  # levels for gpt-oss, `none` and `default` for the others; thoughts apart from the text
            effort = think if isinstance(think, str) else "default" if think else "none"
            return {"reasoning_effort": effort} | ({"reasoning_format": "parsed"} if think else {})
        case "chat_template_kwargs":
            return {"chat_template_kwargs": {"enable_thinking": bool(think)}}
        case "thinking":
            return {"thinking": {"type": "enabled" if think else "disabled"}}
        case _:
            return {}
