"""A server that speaks Ollama's wire format over real HTTP on loopback, and misbehaves on request.

`test_fake_server.py` checks it against the frames of a real server in `wire/`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from tests.engine.cores.helpers import (
    JSON,
    FakeServer,
    Final,
    Json,
    MidstreamError,
    Progress,
    Request,
    Say,
    Script,
    Status,
    Step,
    chunk,
    dump,
    head,
    send,
    send_status,
)
from tests.engine.cores.ollama.frames import NDJSON, NO_MANIFEST, NOW, TEXT, FakeModel, fetch, not_found, record


class FakeOllama(FakeServer):
    """The server. Use `async with FakeOllama(...) as fake`; `fake.host` is what OLLAMA_HOST would be.

    Attributes:
        library: models to pull. pulls: scripts for the next pulls, in order; without one it is a short good pull.
        parallel: number of requests of a model that are answered at a time, the others waiting; None for all.
    """

    def __init__(self, *models: FakeModel | str, loaded: Iterable[str] = (), version: str = "0.35.1") -> None:
        super().__init__()
        self.models = [FakeModel(m) if isinstance(m, str) else m for m in models]
        self.loaded, self.version = list(loaded), version
        self.library: list[FakeModel] = []
        self.pulls: deque[Script] = deque()
        self.parallel: int | None = None
        self._permits: dict[tuple[str, int], asyncio.Semaphore] = {}

    def chats(self) -> list[Request]:
        return [request for request in self.requests if request.path in ("/api/chat", "/api/generate")]

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path in ("/api/chat", "/api/generate"):
            await self._counted(request, writer)
            return
        script = self.overrides.get(request.path)
        if isinstance(script, Status):
            await send_status(writer, script)
        elif script is not None:
            await self._play(request, script, writer, NDJSON)
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
        await self._play(request, script, writer, NDJSON)
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
            async with self._permit(model.name):
                await self._play(request, script, writer, NDJSON)

    @asynccontextmanager
    async def _permit(self, model: str) -> AsyncIterator[None]:
        """As OLLAMA_NUM_PARALLEL does it: the answer begins, its head too, when the model has a free one."""
        if self.parallel is None:
            yield
            return
        async with self._permits.setdefault((model, self.parallel), asyncio.Semaphore(self.parallel)):
            yield

    def _whole(self, request: Request, script: tuple[Step, ...]) -> Json:
        """The answer to a request with `stream: false`: the final record, with all of the text."""
        text = "".join(step.text for step in script if isinstance(step, Say | Final))
        final = next(step for step in script if isinstance(step, Final))
        return record(request, Final(final.statistics, text, final.reason), script)

    async def _write(
        self, step: Step, request: Request, script: tuple[Step, ...], writer: asyncio.StreamWriter
    ) -> None:
        match step:
            case Say() | Final():
                await chunk(writer, dump(record(request, step, script)) + b"\n")
            case Progress():
                await chunk(writer, dump(step.record()) + b"\n")
            case MidstreamError(error):
                await chunk(writer, dump({"error": error}) + b"\n")
