"""A gateway over a kernel of the test's own, asked in process or over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from engine.agents.catalogue import load_catalogue
from engine.cores.port import Core
from engine.gateway.app import make_app
from engine.gateway.config import GatewayConfig
from engine.gateway.guard import Guard
from engine.gateway.server import GatewayServer, listen
from engine.gateway.service import Service
from engine.kernel import Kernel
from engine.task import TaskRecord, TaskState
from tests.engine.kernel.helpers import make_kernel
from tests.waiting import PATIENCE_S


class NoHistory:
    """A read side without a past: what has ended is known from the kernel alone."""

    async def list(
        self,
        limit: int | None = 50,
        offset: int = 0,
        *,
        state: TaskState | None = None,
        agent: str | None = None,
        client: str | None = None,
    ) -> Sequence[TaskRecord]:
        return []


@dataclass(frozen=True, slots=True)
class Gateway:
    kernel: Kernel
    app: FastAPI
    http: httpx.AsyncClient
    url: str = ""

    @property
    def service(self) -> Service:
        found: Service = self.app.state.service
        return found

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.http.post(path, json={} if body is None else body, **options)

    async def submit(self, agent: str = "chat", task: str = "hello", **fields: Any) -> int:
        answer = await self.post("/agents/submit", {"agent_id": agent, "agent_config": {"task": task}, **fields})
        assert answer.status_code == 200, answer.text
        found: int = answer.json()["execution_id"]
        return found


def application(kernel: Kernel, config: GatewayConfig) -> FastAPI:
    catalogue = load_catalogue(None)[0]
    return make_app(kernel, lambda: catalogue, NoHistory(), config)


@asynccontextmanager
async def gateway(
    core: Core, *, policy: str = "fifo", config: GatewayConfig | None = None, peer: str = "127.0.0.1"
) -> AsyncIterator[Gateway]:
    """A gateway behind its guard, asked in process."""
    config = config or GatewayConfig()
    kernel = make_kernel(core, policy=policy)
    await kernel.start()
    app = application(kernel, config)
    transport = httpx.ASGITransport(Guard(app, config), client=(peer, 40000))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", timeout=PATIENCE_S) as http:
            yield Gateway(kernel, app, http)
    finally:
        app.state.service.leaving.set()
        await kernel.stop()


@asynccontextmanager
async def served(core: Core, *, policy: str = "fifo", config: GatewayConfig | None = None) -> AsyncIterator[Gateway]:
    """A gateway on a free port of this machine."""
    config = config or GatewayConfig()
    kernel = make_kernel(core, policy=policy)
    await kernel.start()
    app = application(kernel, config)
    server = GatewayServer(app, config)
    sockets = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        await server.serve(sockets, trusted=False)
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
            yield Gateway(kernel, app, http, url)
    finally:
        await server.stop()
        await kernel.stop()
