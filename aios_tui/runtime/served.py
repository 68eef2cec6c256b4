"""The composition root with an HTTP service: over TCP for clients, if wanted, and by Unix socket for its owner."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

from aios_tui import __version__
from aios_tui.config.settings import Settings
from aios_tui.runtime import discovery
from aios_tui.runtime.exporters import load_optional
from aios_tui.runtime.runtime import Runtime
from engine.errors import AiosError, UsageError
from engine.events import Notice
from engine.store import Recovery

if TYPE_CHECKING:
    from engine.gateway.config import GatewayConfig
    from engine.gateway.server import GatewayServer

log = logging.getLogger(__name__)


class ServedRuntime(Runtime):
    """A runtime that serves its kernel after the start, and stops serving before the kernel stops.

    Args:
        sockets: listening sockets for HTTP, from `open_sockets`; without any, only the owner's commands are served.
    """

    def __init__(self, settings: Settings, sockets: list[socket.socket] | None = None) -> None:
        super().__init__(settings)
        self.exports.served = True
        self._sockets = sockets or []
        self._server: GatewayServer | None = None
        self._service_start: asyncio.Task[str | None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, *, recover: bool = True, paused: bool = False) -> Recovery:
        recovery = await super().start(recover=recover, paused=paused)
        self._service_start = asyncio.create_task(self._serve(), name="start serving")
        self._service_start.add_done_callback(self._report)
        self._watching = asyncio.create_task(self.watch_agents(), name="watch agents")
        return recovery

    async def serving(self) -> str | None:
        """Return once requests are answered: the URL for HTTP clients, or None. Raises AiosError."""
        if self._service_start is None:
            raise UsageError("can't serve: the kernel is not running")
        return await asyncio.shield(self._service_start)

    async def close(self, *, drain_s: float = 0.0) -> None:
        serving, self._service_start = self._service_start, None
        for each in filter(None, (serving, self._watching)):
            each.cancel()
            await asyncio.wait({each})
        if serving is not None:
            await asyncio.to_thread(discovery.withdraw, self.settings.db)
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        for listening in self._sockets:
            listening.close()
        await super().close(drain_s=drain_s)

    async def _serve(self) -> str | None:
        # Loading the libraries takes time and would block the console's keys on the loop.
        app_module, server_module = await asyncio.to_thread(_load)
        config = gateway_config(self.settings)
        config.check()
        app = app_module.make_app(
            self.kernel,
            lambda: self.agents,
            self.history,
            config,
            version=__version__,
            exposition=self.exports.exposition,
        )
        self._server = server = server_module.GatewayServer(app, config)
        own = await asyncio.to_thread(discovery.own_socket, self.settings.db)
        if own is not None:
            await server.serve([own], trusted=True)
        url = None
        if self._sockets:
            url = url_of(self.settings.host, self._sockets[0].getsockname()[1])
            await server.serve(self._sockets, trusted=False)
        await asyncio.to_thread(discovery.announce, self.settings.db, url)
        return url

    def _report(self, done: asyncio.Task[str | None]) -> None:
        """Publish the result as a notice."""
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            if url := done.result():
                self.kernel.publish(Notice(self.kernel.now(), "info", f"clients are served at {url}"))
            return
        known = isinstance(error, AiosError | OSError)
        log.warning("not serving: %s", error, exc_info=None if known else error)
        if self._sockets or not isinstance(error, UsageError):
            text = f"clients can't be served: {error if known else type(error).__name__}"
            self.kernel.publish(Notice(self.kernel.now(), "error", text))


def gateway_config(settings: Settings) -> GatewayConfig:
    """Return the gateway's part of the settings."""
    from engine.gateway.config import GatewayConfig

    return GatewayConfig(
        host=settings.host,
        token=None if settings.token is None else settings.token.get_secret_value(),
        hosts=settings.hosts,
        origins=settings.origins,
        aliases=settings.aliases,
        wait_s=settings.status_wait_s,
        rate=settings.request_rate,
        burst=max(1, round(settings.request_rate * 5)),
        max_body_bytes=round(settings.max_request_mb * 1e6),
    )


def open_sockets(settings: Settings) -> list[socket.socket]:
    """Listen on the port. Raises UsageError: it is in use, needs a token, or libraries are missing; one line."""
    gateway_config(settings).check()
    _, server_module = _load()
    sockets: list[socket.socket] = server_module.listen(settings.host, settings.port)
    return sockets


def url_of(host: str, port: int) -> str:
    """Return the URL for clients on this machine; a host that means every address becomes the loopback address."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"


def _load() -> tuple[Any, Any]:
    needed = ("the HTTP service", "fastapi and uvicorn", "serve", {"fastapi", "uvicorn", "starlette"})
    return load_optional("engine.gateway.app", *needed), load_optional("engine.gateway.server", *needed)
