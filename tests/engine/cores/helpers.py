"""A scripted HTTP/1.1 server on loopback, the base of the fake Ollama and of the fake OpenAI-compatible server.

Nothing in it depends on time: a step that waits, waits for an event that the test sets, or for the client to leave.
"""

from __future__ import annotations

import asyncio
import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from tests.waiting import PATIENCE_S

Json = dict[str, Any]
JSON = "application/json; charset=utf-8"
_REASONS = {
    200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip

# The steps of a scripted answer.


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
Steps = tuple[Step, ...]
Script = Status | Steps


def say(*texts: str, thinking: Iterable[str] = (), **statistics: Any) -> tuple[Step, ...]:
    """A whole good answer: thinking, texts, statistics."""
    return (*(Say(thinking=t) for t in thinking), *(Say(t) for t in texts), Final(statistics))


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Json


class Cut(Exception):
    """The script ends the connection."""


class FakeServer(ABC):
    """Connections, requests and counts. Use `async with`; `host` is `127.0.0.1:PORT`.

    Attributes:
        scripts: answers for the next generations, in order. usual: the answer when there is none, a short good one.
        overrides: answers for other routes, such as `{"/api/version": Status(502)}`, until removed.
        requests: all that came. active, most_active: generations being answered. disconnects: clients that left
            before their answer was complete. connections: how many were ever made.
    """

    def __init__(self) -> None:
        self.scripts: deque[Script] = deque()
        self.usual: Callable[[Request], Script] = lambda _request: say("Hello", " there", ".")
        self.overrides: dict[str, Script] = {}
        self.requests: list[Request] = []
        self.active = self.most_active = self.disconnects = self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    @abstractmethod
    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""

    @abstractmethod
    async def _generate(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer a request for a generation."""

    @abstractmethod
    async def _write(
        self, step: Step, request: Request, script: tuple[Step, ...], writer: asyncio.StreamWriter
    ) -> None:
        """Write what the server says in one step: `Say`, `Final`, `MidstreamError` or `Progress`."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a `stop`, on the same port again."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Die: connections are reset, nothing listens any more."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._server.wait_closed()
        self._server = None

    async def until(self, condition: Callable[[Any], bool]) -> None:
        """Wait until the condition holds of what the server has seen; fail if that never comes."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (asyncio.CancelledError, ConnectionError, Cut):
            pass
        finally:
            self._open.discard(task)
            if task.cancelling():
                writer.transport.abort()
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after another, and notice at once when the client leaves in the middle of an answer."""
        inbox: asyncio.Queue[Request | None] = asyncio.Queue()
        pump = asyncio.create_task(_pump(reader, inbox))
        try:
            while (request := await inbox.get()) is not None:
                self.requests.append(request)
                await self._note()
                answer = asyncio.create_task(self._answer(request, writer))
                try:
                    await asyncio.wait({answer, pump}, return_when=asyncio.FIRST_COMPLETED)
                    if not answer.done() or isinstance(answer.exception(), ConnectionError):
                        self.disconnects += 1
                        return
                    answer.result()
                finally:
                    answer.cancel()
                    await asyncio.wait({answer})
                    await self._note()
        finally:
            pump.cancel()
            await asyncio.wait({pump})

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _counted(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Generate, counted as active."""
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        await self._note()
        try:
            await self._generate(request, writer)
        finally:
            self.active -= 1

    async def _play(self, request: Request, script: tuple[Step, ...], writer: asyncio.StreamWriter, kind: str) -> None:
        """Carry the steps out, in a chunked body of this content type."""
        await head(writer, 200, kind)
        for step in script:
            match step:
                case Raw(data):
                    await chunk(writer, data)
                case Wait(event):
                    await event.wait()
                case Break(reset):
                    await writer.drain()
                    if reset:
                        writer.transport.abort()
                    raise Cut
                case _:
                    await self._write(step, request, script, writer)
        await chunk(writer, b"")


async def _pump(reader: asyncio.StreamReader, inbox: asyncio.Queue[Request | None]) -> None:
    """Read requests until the client closes."""
    try:
        async for request in _requests(reader):
            inbox.put_nowait(request)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        inbox.put_nowait(None)


async def _requests(reader: asyncio.StreamReader) -> AsyncIterator[Request]:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        yield Request(method, path, headers, json.loads(body) if body else {})


@asynccontextmanager
async def silent_port() -> AsyncIterator[str]:
    """An address that accepts connections and never answers."""
    server = await asyncio.start_server(_listen_only, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def _listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        pass
    finally:
        writer.close()


class InThread:
    """A server on an event loop of its own, in a thread, for tests that watch every task of theirs."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake ollama", daemon=True)

    def __enter__(self) -> InThread:
        self._thread.start()
        self._there(self.server.start()).result(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._there(self.server.stop()).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def let_go(self, wait: Wait) -> None:
        """Let a script go on."""
        self._loop.call_soon_threadsafe(wait.event.set)

    async def until(self, condition: Callable[[Any], bool]) -> None:
        await asyncio.wrap_future(self._there(self.server.until(condition)))

    def _there(self, work: Coroutine[object, object, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


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
