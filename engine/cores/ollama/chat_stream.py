"""One attempt's chat with an Ollama server: the request is sent, and its stream read up to the final record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from engine.cores.http import StatusError, WireError, read_to_end
from engine.cores.ollama.faults import StreamError, refused_option
from engine.cores.ollama.records import MAX_CALLS, OllamaRecord
from engine.cores.ollama.requests import request_of
from engine.cores.ollama.wire import Connection
from engine.cores.port import Attempt, ToolCall
from engine.cores.stream_call import Emit


class ChatStream:
    """One attempt's request and its stream.

    Attributes:
        started: a record of the answer has come. calls: the model's tool calls so far.
    """

    def __init__(
        self, connection: Connection, model: str, attempt: Attempt, seen: Callable[[OllamaRecord], None] | None = None
    ) -> None:
        """`seen` is called with every record."""
        self._connection, self._model, self._attempt = connection, model, attempt
        self._seen = seen or (lambda _record: None)
        self.started = False
        self.calls: list[ToolCall] = []

    async def run(self, emit: Emit) -> OllamaRecord | None:
        """Send the request, emit the chunks, and return the final record; None when the stream ended without it.

        A dispensable option that the model refuses is left out, and the request sent again.

        Raises:
            StatusError, WireError, OSError and httpx's errors. UnfitError: there is no request for this attempt.
            ValidationError: a record has the wrong shape.
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
        path, body = request_of(self._model, self._attempt, without)
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
                    with suppress(StreamError):  # the answer is complete: an error after it changes nothing
                        await read_to_end(lines)
                    return record
        return None
