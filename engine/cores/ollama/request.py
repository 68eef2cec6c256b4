"""One request to an Ollama server: what is sent, and its stream read up to the final record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx

from engine.cores.http import StatusError, WireError
from engine.cores.ollama.faults import refused_option
from engine.cores.ollama.records import MAX_CALLS, OllamaRecord
from engine.cores.ollama.wire import Connection
from engine.cores.port import Attempt, Message, ToolCall
from engine.cores.stream_call import Emit
from engine.task import GenerationOptions

_TAIL_S = 1.0
_NAMES = {"max_tokens": "num_predict"}
_OPTIONS = ("max_tokens", "temperature", "seed", "num_ctx", "top_k", "top_p", "min_p", "repeat_penalty", "stop")
"""Those that go into the request's `options`; the others stand beside them."""


class Unfit(Exception):
    """The attempt can't be put into words of this server; the text says why."""


class Exchange:
    """One attempt's request and its stream.

    Attributes:
        started: a record of the answer has come. calls: what the model asked to have called so far.
    """

    def __init__(
        self, connection: Connection, model: str, attempt: Attempt, seen: Callable[[OllamaRecord], None] | None = None
    ) -> None:
        """`seen` is shown every record as it comes."""
        self._connection, self._model, self._attempt = connection, model, attempt
        self._seen = seen or (lambda _record: None)
        self.started = False
        self.calls: list[ToolCall] = []

    async def run(self, emit: Emit) -> OllamaRecord | None:
        """Ask, emit what comes, and return the final record; None when the stream ended without it.

        What the attempt can do without and this model refuses is left out.

        Raises: StatusError, WireError, httpx's errors, OSError; ValidationError for a record of the wrong shape; Unfit.
        """
        without: frozenset[str] = frozenset()
        while True:
            try:
                return await self._once(emit, without)
            except StatusError as error:
                option = refused_option(error)
                if option is None or option not in self._attempt.dispensable - without:
                    raise
                without |= {option}

    async def _once(self, emit: Emit, without: frozenset[str]) -> OllamaRecord | None:
        path, body = request(self._model, self._attempt, without)
        async with self._connection.stream(path, body) as lines:
            async for line in lines:
                record = OllamaRecord.model_validate_json(line)
                self.started = True
                self._seen(record)
                for chunk in record.chunks():
                    await emit(chunk)
                self.calls += record.calls()
                if len(self.calls) > MAX_CALLS:
                    raise WireError(f"it asks for more than {MAX_CALLS} tools to be called")
                if record.done:
                    await _finish(lines)
                    return record
        return None


def request(model: str, attempt: Attempt, without: frozenset[str] = frozenset()) -> tuple[str, dict[str, Any]]:
    """The path and the body of the request. Raises Unfit for tools where there is no conversation."""
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
        raise Unfit("tools can only be called in a chat: leave out the option endpoint")
    body["prompt"] = attempt.messages[-1].content if attempt.messages else ""
    if wanted.endpoint == "raw":
        body["raw"] = True
    elif system := "\n\n".join(message.content for message in attempt.messages[:-1] if message.role == "system"):
        body["system"] = system
    return "/api/generate", body


def _options(wanted: GenerationOptions) -> dict[str, Any]:
    """Ollama's names for them; what is None is left to the model."""
    given = {_NAMES.get(name, name): getattr(wanted, name) for name in _OPTIONS}
    return {name: list(value) if name == "stop" else value for name, value in given.items() if value is not None}


def _keep_alive(value: str | None) -> str | int | None:
    """A string needs a unit there; without one it is a number of seconds, and a negative one is for ever."""
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


async def _finish(lines: AsyncIterator[bytes]) -> None:
    """Read to the end of the response, so that the connection can be used again; what comes there no longer counts."""
    with suppress(TimeoutError, httpx.HTTPError, StatusError, WireError):
        async with asyncio.timeout(_TAIL_S):
            async for _ in lines:
                pass
