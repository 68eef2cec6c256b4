"""From an attempt to the body of a request, with the quirks of the server that it goes to."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from engine.cores.openai.presets import Quirks
from engine.cores.port import Attempt, Message

Json = dict[str, Any]
_NOTHING: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def is_raw(attempt: Attempt) -> bool:
    """Whether it goes to `/completions`: a bare prompt, no template."""
    return attempt.options.endpoint == "raw"


def body_of(
    attempt: Attempt, model: str, quirks: Quirks, *, priority: bool, extras: Mapping[str, Mapping[str, Any]] = _NOTHING
) -> Json:
    """The request's body. What the server does not take is left out.

    `priority`: send it, in vLLM's field, smaller is first. `extras`: what goes back with a tool's call, by its id.
    """
    options, body = attempt.options, Json(model=model)
    if is_raw(attempt):
        body["prompt"] = attempt.messages[-1].content if attempt.messages else ""
    else:
        turns = _plain(attempt.messages) if options.endpoint == "generate" else attempt.messages
        body["messages"] = _messages(turns, extras)
        if attempt.tools and "tools" not in quirks.unsupported:
            body["tools"] = [dict(tool) for tool in attempt.tools]
    named = {
        "temperature": options.temperature,
        "seed": options.seed,
        "top_p": options.top_p,
        "stop": list(options.stop) if options.stop else None,
        "response_format": _format(options.format, quirks),
    }
    body |= {name: value for name, value in named.items() if value is not None and name not in quirks.unsupported}
    if options.max_tokens is not None:
        # `/completions` never had the newer name.
        body["max_tokens" if is_raw(attempt) else quirks.token_limit] = options.max_tokens
    for option, name in quirks.extensions.items():
        if (value := getattr(options, option)) is not None:
            body[name] = value
    if options.think is not None and not is_raw(attempt):
        body |= _thinking(options.think, quirks)
    if quirks.stream_options:
        body["stream_options"] = {"include_usage": True}
    if quirks.progress:
        body["return_progress"] = True
    if priority:
        body["priority"] = attempt.priority
    return body


def learnt(quirks: Quirks, refusal: str) -> Quirks | None:
    """The quirks as a refused request shows them: a field that the server does not know; None if it was not that."""
    if quirks.stream_options and "stream_options" in refusal:
        return quirks.model_copy(update={"stream_options": False})
    if quirks.token_limit == "max_tokens" and "max_completion_tokens" in refusal:  # noqa: S105
        return quirks.model_copy(update={"token_limit": "max_completion_tokens"})
    if quirks.token_limit == "max_completion_tokens" and "max_completion_tokens" in refusal:  # noqa: S105
        return quirks.model_copy(update={"token_limit": "max_tokens"})
    return None


def _plain(messages: tuple[Message, ...]) -> list[Message]:
    """For `generate`: the system message and the last one."""
    return [m for m in messages[:-1] if m.role == "system"][:1] + list(messages[-1:])


def _messages(messages: Iterable[Message], extras: Mapping[str, Mapping[str, Any]]) -> list[Json]:
    """The turns. Calls without an id get one, and the answers to them the same, in their order."""
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
    """The id of the first call that is not answered yet, of this tool where it is named."""
    for pending in open_calls:
        if not tool or pending[0] == tool:
            open_calls.remove(pending)
            return pending[1]
    return "call_0"


def _format(wanted: str | dict[str, Any] | None, quirks: Quirks) -> Json | None:
    if wanted is None:
        return None
    if isinstance(wanted, str) or not quirks.json_schema:
        return {"type": "json_object"}
    schema: Json = {"name": "reply", "schema": wanted}
    if _closed(wanted):
        schema["strict"] = True
    return {"type": "json_schema", "json_schema": schema}


def _closed(schema: Any) -> bool:
    """Whether a schema is one that OpenAI enforces: each object names all it may have, and needs all of it."""
    if isinstance(schema, list):
        return all(_closed(each) for each in schema)
    if not isinstance(schema, Mapping):
        return True
    if "properties" in schema:
        names = set(schema["properties"]) if isinstance(schema["properties"], Mapping) else set()
        if schema.get("additionalProperties") is not False or names - set(schema.get("required") or ()):
            return False
    return all(_closed(each) for each in schema.values())


def _thinking(think: bool | str, quirks: Quirks) -> Json:
    """How the server is told to think or not to. Levels: `low`, `medium`, `high`."""
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
