"""What an Ollama server writes: the records of its streams, its models, and HTTP/1.1 as Go's server frames it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Json = dict[str, Any]
NOW = "2026-11-22T15:21:16.433760208Z"
JSON, NDJSON, TEXT = "application/json; charset=utf-8", "application/x-ndjson", "text/plain"
_ticks = count(1)
_REASONS = {
    200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip

# What a scripted answer is made of, in order.


@dataclass(frozen=True, slots=True)
class Say:
    """One streamed record with text, with thinking, or with calls of tools: a name and arguments each, and an id."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, Json] | tuple[str, Json, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Final:
    """The record with `done: true`. `statistics` replace the usual ones; zero values are left out, as Ollama does."""

    statistics: Json = field(default_factory=dict)
    text: str = ""
    reason: str = "stop"


@dataclass(frozen=True, slots=True)
class MidstreamError:
    """An error object in place of the next record."""

    error: Any = "an error was encountered while running the model: unexpected EOF"


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes as they are, as one piece of the body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on when the test sets the event, or never."""

    event: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Break:
    """The connection ends here: reset, or closed without the end of the body."""

    reset: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """Answer at once with this status in place of a stream. A `str` body is sent as `{"error": body}`."""

    code: int
    body: str | bytes = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """One record of a pull: what is done now, and of a layer how much of it, in bytes."""

    status: str
    completed: int = 0
    total: int = 0
    digest: str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

    def record(self) -> Json:
        layer = {"digest": self.digest, "total": self.total, "completed": self.completed} if self.total else {}
        return {"status": self.status} | {name: value for name, value in layer.items() if value}


Step = Say | Final | MidstreamError | Raw | Wait | Break | Progress
Script = Status | tuple[Step, ...]


LAYER = "pulling b179c9523d0e"
FETCHED = (Progress("verifying sha256 digest"), Progress("writing manifest"), Progress("success"))
"""How a good pull ends."""


def fetch(size: int, steps: int = 4) -> tuple[Step, ...]:
    """A whole good pull of a model of one layer."""
    parts = (Progress(LAYER, size * n // steps, size) for n in range(steps + 1))
    return (Progress("pulling manifest"), *parts, *FETCHED)


NO_MANIFEST = "pull model manifest: file does not exist"


def say(*texts: str, thinking: Iterable[str] = (), **statistics: Any) -> tuple[Step, ...]:
    """A whole good answer: thinking, texts, statistics."""
    return (*(Say(thinking=t) for t in thinking), *(Say(t) for t in texts), Final(statistics))


@dataclass(slots=True)
class FakeModel:
    """A model the server has. `capabilities` None: an older server, which does not tell in its list."""

    name: str
    size: int = 98_362_793
    capabilities: tuple[str, ...] | None = ("completion",)
    shown_capabilities: tuple[str, ...] | None = ("completion",)
    expires_at: str = "2026-11-22T15:26:16.788112079Z"
    size_vram: int = 98_362_432

    def details(self) -> Json:
        return {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                "parameter_size": "134.52M", "quantization_level": "Q4_1"}  # fmt: skip

    def tag(self) -> Json:
        tag = {"name": self.name, "model": self.name, "modified_at": NOW, "size": self.size, "digest": "b" * 64,
               "details": {**self.details(), "context_length": 8192, "embedding_length": 576}}  # fmt: skip
        return tag if self.capabilities is None else {**tag, "capabilities": list(self.capabilities)}

    def process(self) -> Json:
        return {"name": self.name, "model": self.name, "size": 98_362_432, "digest": "b" * 64,
                "details": self.details(), "expires_at": self.expires_at, "size_vram": self.size_vram,
                "context_length": 2048}  # fmt: skip

    def show(self) -> Json:
        shown: Json = {
            "modelfile": f"FROM {self.name}\n",
            "parameters": "temperature                    0.2",
            "template": "{{ .Prompt }}",
            "details": self.details(),
            "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
            "tensors": [{"name": "output_norm.weight", "type": "F32", "shape": [576]}],
        }
        if self.shown_capabilities is not None:
            shown["capabilities"] = list(self.shown_capabilities)
        return {**shown, "modified_at": NOW}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Json


def record(request: Request, step: Say | Final, script: tuple[Step, ...]) -> Json:
    """One record of a stream, with the keys in Ollama's order."""
    if request.path == "/api/chat":
        message: Json = {"role": "assistant", "content": step.text}
        if isinstance(step, Say) and step.thinking:
            message["thinking"] = step.thinking
        if isinstance(step, Say) and step.calls:
            message["tool_calls"] = [_call(*call) for call in step.calls]
        payload: Json = {"message": message}
    else:
        payload = {"response": step.text}
        if isinstance(step, Say) and step.thinking:
            payload["thinking"] = step.thinking
    record = {"model": request.body["model"], "created_at": _moment(), **payload, "done": isinstance(step, Final)}
    if not isinstance(step, Final):
        return record
    record["done_reason"] = step.reason
    if request.path == "/api/generate":
        record["context"] = [1, 4093, 198]
    spoken = sum(isinstance(s, Say) for s in script)
    statistics = {"total_duration": 254_893_240, "load_duration": 2_838_341, "prompt_eval_count": 13,
                  "prompt_eval_duration": 121_783_000, "eval_count": spoken, "eval_duration": 117_981_000}  # fmt: skip
    return record | {name: value for name, value in (statistics | step.statistics).items() if value}


def _call(name: str, arguments: Json, id: str = "") -> Json:
    """With the id first, as newer servers send it."""
    return {**({"id": id} if id else {}), "function": {"name": name, "arguments": arguments}}


def _moment() -> str:
    """The server's clock: a microsecond later each time it is asked."""
    return f"2026-11-22T15:21:{next(_ticks) / 1e6:012.9f}Z"


def not_found(request: Request) -> Status:
    return Status(404, f"model '{request.body.get('model', '')}' not found")


# -- HTTP/1.1 as Go's server writes it ---------------------------------------------------------------------------------


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


async def head(writer: asyncio.StreamWriter, code: int, kind: str, *more: tuple[str, str], length: int = -1) -> None:
    """Status line and headers in Go's order; without a length the body comes in chunks."""
    lines = [f"HTTP/1.1 {code} {_REASONS.get(code, 'Unknown')}", *(f"{name}: {value}" for name, value in more)]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += ["Date: Sun, 22 Nov 2026 15:21:16 GMT"]
    lines.append(f"Content-Length: {length}" if length >= 0 else "Transfer-Encoding: chunked")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    await writer.drain()


async def send(writer: asyncio.StreamWriter, code: int, kind: str, body: bytes, *more: tuple[str, str]) -> None:
    await head(writer, code, kind, *more, length=len(body))
    writer.write(body)
    await writer.drain()


async def send_status(writer: asyncio.StreamWriter, status: Status) -> None:
    if isinstance(status.body, str):
        await send(writer, status.code, JSON, dump({"error": status.body}), *status.headers)
    else:
        kind = "text/html" if status.body.startswith(b"<") else JSON
        await send(writer, status.code, kind, status.body, *status.headers)


async def chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    """One chunk of a chunked body; an empty one ends it."""
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()
