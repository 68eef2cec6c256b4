"""Resolves a server's name without being held up by a stuck resolver.

asyncio resolves names in the loop's thread pool, and a thread that is stuck there keeps the program from ending until
the resolver gives up, tens of seconds later. So a name is first resolved in a daemon thread; only one that has just
been resolved is handed on to the HTTP client.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress

import httpx

from engine.cores.addresses import ip_of

_FRESH_S = 30.0


class Resolver:
    """Checks that a host's name can be resolved, in at most `timeout_s` seconds."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._good_until: dict[str, float] = {}

    async def check(self, host: str) -> None:
        """Return when the name is resolved. Raises httpx's ConnectError if there is none, ConnectTimeout in time."""
        if ip_of(host) or self._good_until.get(host, 0.0) > time.monotonic():
            return
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[OSError | None] = loop.create_future()

        def set_answer(error: OSError | None) -> None:
            if not answer.done():
                answer.set_result(error)

        def look_up() -> None:
            error: OSError | None = None
            try:
                socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError as failed:
                error = failed
            except UnicodeError:
                error = socket.gaierror("not a valid host name")
            with suppress(RuntimeError):  # the loop was closed meanwhile: there is no reader
                loop.call_soon_threadsafe(set_answer, error)

        threading.Thread(target=look_up, name=f"resolving {host}", daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout_s):
                error = await answer
        except TimeoutError:
            raise httpx.ConnectTimeout(f"no answer from the resolver for {host}") from None
        if error is not None:
            raise httpx.ConnectError(f"{host}: {error.strerror or error}") from None
        self._good_until[host] = time.monotonic() + _FRESH_S
