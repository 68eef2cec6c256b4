"""Serve the application on sockets inside a running event loop: no signal handlers, nothing printed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from engine.errors import CoreError, UsageError
from engine.gateway.config import GatewayConfig
from engine.gateway.guard import Guard
from engine.gateway.service import Service

GRACE_S = 3
_IN_USE = (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE))


class _Server(uvicorn.Server):
    """A uvicorn server without signal handlers and without polling; it serves until `leave`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._leaving.wait()

    def leave(self) -> None:
        self.should_exit = True
        self._leaving.set()


class GatewayServer:
    """Serves one application behind the guard, over TCP and over a Unix socket that only its owner can open."""

    def __init__(self, app: FastAPI, config: GatewayConfig) -> None:
        self._app = app
        self._config = config
        self._servers: list[tuple[_Server, asyncio.Task[None]]] = []

    async def serve(self, sockets: list[socket.socket], *, trusted: bool) -> None:
        """Serve listening `sockets` and take ownership of them. Returns once requests are answered."""
        guard = Guard(self._app, self._config, trusted=trusted)
        server = _Server(
            uvicorn.Config(
                guard,
                http="h11",
                loop="none",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        running = asyncio.create_task(server.serve(sockets), name="gateway")
        self._servers.append((server, running))
        ready = asyncio.ensure_future(server.ready.wait())
        await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await running
            raise CoreError("the HTTP service ended at start; the log has the details")

    async def stop(self) -> None:
        """Accept no more requests, answer the waiting ones, and return. Idempotent."""
        service: Service = self._app.state.service
        service.leaving.set()
        servers, self._servers = self._servers, []
        for server, _ in servers:
            server.leave()
        await asyncio.gather(*(running for _, running in servers), return_exceptions=True)


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets on every address of `host`; port 0 takes a free one. Blocks when `host` is a name.

    Raises:
        UsageError: the name is unknown, or the port can't be taken; one line.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"host {host!r}: {getattr(error, 'strerror', None) or error}") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, _, _, address in dict.fromkeys(found):
            number = sockets[0].getsockname()[1] if sockets else port  # with port 0, the same one on every address
            bound = (address[0], number, *address[2:])
            sockets.append(_listening(family, kind, bound))
    except OSError as error:
        for each in sockets:
            each.close()
        if error.errno in _IN_USE:
            raise UsageError(f"port {port} on {host} is in use by another program; --port takes another") from None
        raise UsageError(f"port {port} on {host}: {error.strerror or error}") from None
    return sockets


def _listening(family: int, kind: int, address: tuple[object, ...]) -> socket.socket:
    # With an explicit protocol asyncio sets TCP_NODELAY; without, every answer waits 40 ms for a delayed ACK.
    made = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # on Windows this option lets another program take the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(2048)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made
