"""A server that speaks OpenAI's protocol over real HTTP on loopback, and misbehaves on request.

`test_llama_server.py` has a server that nobody here wrote.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.engine.cores.helpers import (
    JSON,
    FakeServer,
    Final,
    Json,
    MidstreamError,
    Request,
    Say,
    Script,
    Status,
    Step,
    chunk,
    dump,
    send,
    send_status,
)

EVENTS = "text/event-stream"
USAGE: Json = {"prompt_tokens": 13, "completion_tokens": 3, "total_tokens": 16}


def refusal(status: int, message: str, *headers: tuple[str, str], **more: Any) -> Status:
    """An error as OpenAI sends it."""
    return Status(
        status, dump({"error": {"message": message, "type": "error", "param": None, "code": None, **more}}), headers
    )


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else dump(data)) + b"\n\n"


class FakeOpenAI(FakeServer):
    """`fake.url` is its base URL. Wrong or no key: 401, where `key` is set. Unknown models: 404.

    `scripts` with a `Final` end as they should: reason, usage, `[DONE]`. Ones without just end.
    """

    def __init__(self, *models: str, key: str = "") -> None:
        super().__init__()
        self.models, self.key = list(models), key

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1"

    def chats(self) -> list[Request]:
        return [request for request in self.requests if request.path.endswith("/completions")]

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        script = self.overrides.get(request.path)
        if isinstance(script, Status):
            await send_status(writer, script)
        elif self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            await send_status(writer, refusal(401, f"Incorrect API key: {request.headers.get('authorization')}"))
        elif request.path.endswith("/completions"):
            await self._counted(request, writer)
        elif request.path == "/v1/models":
            data = [{"id": name, "object": "model", "owned_by": "fake"} for name in self.models]
            await send(writer, 200, JSON, dump({"object": "list", "data": data}))
        else:
            await send(writer, 404, JSON, dump({"detail": "Not Found"}))

    async def _generate(self, request: Request, writer: asyncio.StreamWriter) -> None:
        script: Script = self.scripts.popleft() if self.scripts else self.usual(request)
        name = request.body.get("model", "")
        if isinstance(script, Status):
            await send_status(writer, script)
        elif name not in self.models:
            missing = f"The model `{name}` does not exist."
            await send_status(writer, refusal(404, missing, code="model_not_found"))
        else:
            await self._play(request, script, writer, EVENTS)

    async def _write(
        self, step: Step, request: Request, script: tuple[Step, ...], writer: asyncio.StreamWriter
    ) -> None:
        match step:
            case Say():
                delta: Json = {"content": step.text} | ({"reasoning_content": step.thinking} if step.thinking else {})
                await chunk(writer, event(_record(request, {"delta": delta, "finish_reason": None})))
            case Final():
                delta = {"content": step.text} if step.text else {}
                await chunk(writer, event(_record(request, {"delta": delta, "finish_reason": step.reason})))
                spoken = sum(isinstance(each, Say) for each in script)
                usage = USAGE | {"completion_tokens": spoken} | step.statistics
                await chunk(writer, event({**_record(request), "usage": usage}))
                await chunk(writer, event(b"[DONE]"))
            case MidstreamError(error):
                await chunk(writer, event({"error": error}))
            case _:
                raise AssertionError(step)


def _record(request: Request, *choices: Json) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": request.body["model"],
        "choices": [{"index": 0, **choice} for choice in choices],
    }
