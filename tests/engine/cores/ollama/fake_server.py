"""A server that speaks Ollama's wire format over real HTTP on loopback, and misbehaves on request.

`test_fake_server.py` checks it against the frames of a real server in `wire/`. Nothing in it depends on time:
what waits, waits for an event that the test sets, or for the client to go away.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager

from tests.engine.cores.ollama.frames import (
    JSON,
    NDJSON,
    NO_MANIFEST,
    NOW,
    TEXT,
    Break,
    FakeModel,
    Final,
    Json,
    MidstreamError,
    Progress,
    Raw,
    Request,
    Say,
    Script,
    Status,
    Step,
    Wait,
    chunk,
    dump,
    fetch,
    head,
    not_found,
    record,
    say,
    send,
    send_status,
)

PATIENCE_S = 30.0


class _Cut(Exception):
    """The script ends the connection."""


class FakeOllama:
    """The server. Use `async with FakeOllama(...) as fake`; `fake.host` is what OLLAMA_HOST would be.

    Attributes:
        scripts: answers for the next chat requests, in order. usual: the answer when there is none, a short good one.
        overrides: answers for other routes, such as `{"/api/version": Status(502)}`, until removed.
        library: what can be pulled. pulls: scripts for the next pulls, in order; without one it is a short good pull.
        parallel: how many requests of a model are answered at a time, the others waiting; None for all.
        requests: all that came. active, most_active: chat requests being answered. disconnects: clients that left
            before their answer was complete. connections: how many were ever made.
    """

    def __init__(self, *models: FakeModel | str, loaded: Iterable[str] = (), version: str = "0.35.1") -> None:
        self.models = [FakeModel(m) if isinstance(m, str) else m for m in models]
        self.loaded, self.version = list(loaded), version
        self.scripts: deque[Script] = deque()
        self.usual: Callable[[Request], Script] = lambda _request: say("Hello", " there", ".")
        self.overrides: dict[str, Script] = {}
        self.library: list[FakeModel] = []
        self.pulls: deque[Script] = deque()
        self.requests: list[Request] = []
        self.active = self.most_active = self.disconnects = self.connections = 0
        self.parallel: int | None = None
        self.port = 0
        self._places: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> FakeOllama:
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

    async def until(self, condition: Callable[[FakeOllama], bool]) -> None:
        """Wait until the condition holds of what the server has seen; fail if that never comes."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    def chats(self) -> list[Request]:
        return [request for request in self.requests if request.path in ("/api/chat", "/api/generate")]

    # -- connections ---------------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (asyncio.CancelledError, ConnectionError, _Cut):
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

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path in ("/api/chat", "/api/generate"):
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            await self._note()
            try:
                await self._generate(request, writer)
            finally:
                self.active -= 1
            return
        script = self.overrides.get(request.path)
        if isinstance(script, Status):
            await send_status(writer, script)
        elif script is not None:
            await self._play(request, script, writer)
        else:
            await self._look(request, writer)

    # -- routes --------------------------------------------------------------------------------------------------------

    async def _look(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """The routes that do not generate."""
        by_name = {model.name: model for model in self.models}
        model = self._named(request)
        match (request.method, request.path):
            case ("GET", "/api/version"):
                await send(writer, 200, JSON, dump({"version": self.version}))
            case ("GET", "/api/tags"):
                await send(writer, 200, JSON, dump({"models": [model.tag() for model in self.models]}))
            case ("GET", "/api/ps"):
                processes = [by_name[name].process() for name in self.loaded if name in by_name]
                await send(writer, 200, JSON, dump({"models": processes}))
            case ("POST", "/api/pull"):
                await self._pull(request, writer)
            case ("POST" | "DELETE", "/api/show" | "/api/delete" | "/api/embed") if model is None:
                await send_status(writer, not_found(request))
            case ("DELETE", "/api/delete") if model is not None:
                self.models.remove(model)
                await send(writer, 200, "", b"")
            case ("POST", "/api/embed") if model is not None:
                self._keep(model, loaded=True)
                await send(writer, 200, JSON, dump({"model": request.body["model"], "embeddings": []}))
            case ("POST", "/api/show") if model is not None:
                # larger than what Go's server buffers, so it goes out in chunks
                await head(writer, 200, JSON)
                await chunk(writer, dump(model.show()))
                await chunk(writer, b"")
            case _:
                await send(writer, 404, TEXT, b"404 page not found")

    def _named(self, request: Request) -> FakeModel | None:
        """The model that is meant; one named without a tag is the latest."""
        name = request.body.get("model", "")
        full = name if ":" in name else f"{name}:latest"
        return next((model for model in self.models if model.name in (name, full)), None)

    def _keep(self, model: FakeModel, *, loaded: bool) -> None:
        self.loaded = [name for name in self.loaded if name != model.name] + ([model.name] if loaded else [])

    async def _pull(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Play the pull; one that gets to its end installs the model, if the library has it."""
        name = request.body.get("model", "")
        found = next((model for model in self.library if model.name == name), None)
        unknown = (Progress("pulling manifest"), MidstreamError(NO_MANIFEST))
        usual = unknown if found is None else fetch(found.size)
        script = self.pulls.popleft() if self.pulls else usual
        if isinstance(script, Status):
            await send_status(writer, script)
            return
        await self._play(request, script, writer)
        if found is not None and found not in self.models and script[-1] == Progress("success"):
            self.models.insert(0, found)

    async def _load(self, request: Request, model: FakeModel, writer: asyncio.StreamWriter) -> None:
        """A generation without a prompt only loads, or unloads, the model."""
        unload = request.body.get("keep_alive") == 0
        if not unload and "completion" not in (model.capabilities or ("completion",)):
            await send_status(writer, Status(400, f'"{model.name}" does not support generate'))
            return
        self._keep(model, loaded=not unload)
        reason = "unload" if unload else "load"
        answer = {"model": request.body["model"], "created_at": NOW, "response": "", "done": True}
        await send(writer, 200, JSON, dump({**answer, "done_reason": reason}))

    async def _generate(self, request: Request, writer: asyncio.StreamWriter) -> None:
        body = request.body
        model = self._named(request)
        if request.path == "/api/generate" and not body.get("prompt") and not self.scripts and model is not None:
            await self._load(request, model, writer)
            return
        script = self.scripts.popleft() if self.scripts else self.usual(request)
        if isinstance(script, Status):
            await send_status(writer, script)
        elif model is None:
            await send_status(writer, not_found(request))
        elif body.get("tools") and "tools" not in (model.capabilities or ()):
            refusal = f"registry.ollama.ai/library/{model.name} does not support tools"
            await send_status(writer, Status(400, refusal))
        elif body.get("think") and "thinking" not in (model.capabilities or ()):
            await send_status(writer, Status(400, f'"{model.name}" does not support thinking'))
        elif body.get("stream") is False and any(isinstance(step, Final) for step in script):
            await send(writer, 200, JSON, dump(self._whole(request, script)))
        else:
            if model.name not in self.loaded:
                self.loaded.append(model.name)
            async with self._turn(model.name):
                await self._play(request, script, writer)

    @asynccontextmanager
    async def _turn(self, model: str) -> AsyncIterator[None]:
        """As OLLAMA_NUM_PARALLEL does it: the answer begins, its head too, when the model has a place."""
        if self.parallel is None:
            yield
            return
        async with self._places.setdefault((model, self.parallel), asyncio.Semaphore(self.parallel)):
            yield

    def _whole(self, request: Request, script: tuple[Step, ...]) -> Json:
        """The answer to a request with `stream: false`: the final record, with all of the text."""
        text = "".join(step.text for step in script if isinstance(step, Say | Final))
        final = next(step for step in script if isinstance(step, Final))
        return record(request, Final(final.statistics, text, final.reason), script)

    async def _play(self, request: Request, script: tuple[Step, ...], writer: asyncio.StreamWriter) -> None:
        await head(writer, 200, NDJSON)
        for step in script:
            match step:
                case Say() | Final():
                    await chunk(writer, dump(record(request, step, script)) + b"\n")
                case Progress():
                    await chunk(writer, dump(step.record()) + b"\n")
                case MidstreamError(error):
                    await chunk(writer, dump({"error": error}) + b"\n")
                case Raw(data):
                    await chunk(writer, data)
                case Wait(event):
                    await event.wait()
                case Break(reset):
                    await writer.drain()
                    if reset:
                        writer.transport.abort()
                    raise _Cut
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

    def __init__(self, server: FakeOllama) -> None:
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

    async def until(self, condition: Callable[[FakeOllama], bool]) -> None:
        await asyncio.wrap_future(self._there(self.server.until(condition)))

    def _there(self, work: Coroutine[object, object, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)
