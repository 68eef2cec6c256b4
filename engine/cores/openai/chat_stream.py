"""One attempt's request to an OpenAI-compatible server, and its stream, until the end."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from engine.cores.api_keys import redact
from engine.cores.http import StatusError, read_to_end
from engine.cores.openai import records, requests
from engine.cores.openai.presets import Quirks
from engine.cores.openai.wire import Connection
from engine.cores.port import Attempt, Chunk, Done
from engine.cores.stream_call import Emit
from engine.sanitise import one_line

_EXTRAS, _EXTRAS_CHARS = 1_000, 8 << 20
_A_KEY = 12  # characters; a shorter one may be a word


class ChatClient:
    """Sends chats to one server.

    Attributes:
        quirks: the preset's, corrected by the server's refusals.
    """

    def __init__(self, connection: Connection, quirks: Quirks, key: SecretStr | None, *, priority: bool) -> None:
        self._connection, self._key, self._priority = connection, key, priority
        self._extras: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._sizes: dict[str, int] = {}  # of the extras, in characters of JSON
        self.quirks = quirks

    def new_answer(self) -> records.StreamedAnswer:
        """Return the collector of an attempt's answer."""
        return records.StreamedAnswer(self.quirks, time.monotonic())

    async def stream(self, attempt: Attempt, model: str, answer: records.StreamedAnswer, emit: Emit) -> None:
        """Send the request and read its stream to the end. Raises as `Connection.stream` and `read_record` do.

        If the server refuses a field that can be left out, the request is sent once more without it, and so are all
        later ones.
        """
        try:
            await self._ask(attempt, model, answer, emit)
        except StatusError as refusal:
            learnt = requests.learnt(self.quirks, refusal.message) if refusal.status in (400, 422) else None
            if learnt is None:
                raise
            self.quirks = learnt
            await self._ask(attempt, model, answer, emit)

    async def _ask(self, attempt: Attempt, model: str, answer: records.StreamedAnswer, emit: Emit) -> None:
        body = requests.body_of(attempt, model, self.quirks, priority=self._priority, extras=self._extras)
        async with self._connection.stream(body, raw=requests.is_raw(attempt)) as events:
            async for data in events:
                if data.strip() == records.DONE:
                    answer.end()
                    await read_to_end(events)
                    return
                for chunk in answer.add(records.read_record(data), time.monotonic()):
                    await emit(self._without_key(chunk))

    def done(self, answer: records.StreamedAnswer, model: str) -> Done:
        """The outcome of a finished answer. Raises BadCallError."""
        done = answer.done(model)
        self._keep(answer.extras)
        if self.quirks.ignores_model:  # and so calls the model by any name it was asked for
            return done
        # A provider may say which version it was.
        name = one_line(answer.model.removeprefix(self.quirks.model_prefix), 200)
        return replace(done, model=redact(name, self._key.get_secret_value() if self._key else None) or model)

    def _keep(self, extras: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the fields to send back with tool calls; the oldest go when they are too many, or too large together."""
        for name, extra in extras.items():
            self._extras.pop(name, None)
            self._extras[name], self._sizes[name] = extra, len(name) + len(json.dumps(extra))
        while len(self._extras) > _EXTRAS or sum(self._sizes.values()) > _EXTRAS_CHARS:
            del self._sizes[self._extras.popitem(last=False)[0]]

    def _without_key(self, chunk: Chunk) -> Chunk:
        """Remove the key from a text: some proxies send an error as the model's text. Parts of a key may be words."""
        key = self._key.get_secret_value() if self._key else ""
        return replace(chunk, text=redact(chunk.text, key)) if len(key) >= _A_KEY and key in chunk.text else chunk
