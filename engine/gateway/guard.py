"""ASGI middleware that checks every TCP request: host name, origin, token, body size and rate."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from fastapi.datastructures import Headers

from engine.cores.addresses import ip_of
from engine.gateway.config import GatewayConfig, is_loopback
from engine.gateway.errors import problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_CLIENTS = 4096
DISCARDED = 8
"""Read a too large body up to this multiple of the limit: a client whose connection closes early misses the answer."""


class Refusal(Exception):
    """A request that is refused."""

    def __init__(self, status: int, detail: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = tuple(headers)


class Guard:
    """Passes on allowed requests, with their body read and measured. Refusals are `{"detail": "…"}`.

    `trusted` is for a Unix socket that only its owner can open: only the size of bodies is checked there.
    """

    def __init__(
        self, app: App, config: GatewayConfig, *, trusted: bool = False, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._config = config
        self._trusted = trusted
        self._rates = RateLimiter(config.rate, config.burst, now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no web sockets, no lifespan
        try:
            headers = _headers(scope)
            if not self._trusted:
                self._rates.count(str(scope["client"][0]) if scope.get("client") else "?")
                check_host(headers, self._config)
                check_origin(headers, self._config)
                if scope["method"] != "OPTIONS":  # a browser's preflight request carries no token
                    check_token(headers, self._config.token)
            body = await self._body(headers, receive)
        except Refusal as refusal:
            response = problem(refusal.status, str(refusal))
            response.headers.update(dict(refusal.headers))
            if refusal.status in (408, 413):
                response.headers["connection"] = "close"
            await response(scope, receive, send)
            return
        except ConnectionError:
            return
        await self._app(scope, _receive_body(body, receive), send)

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        limit = self._config.max_body_bytes
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise _too_large(limit)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._config.body_s):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ConnectionError
                    size += len(message.get("body", b""))
                    if size <= limit:
                        parts.append(message.get("body", b""))
                    elif size > DISCARDED * limit:
                        break
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise Refusal(408, f"the request's body did not come within {self._config.body_s:g} s") from None
        if size > limit:
            raise _too_large(limit)
        return b"".join(parts)


class RateLimiter:
    """A token bucket per client address, for the most recent `MAX_CLIENTS` addresses."""

    def __init__(self, rate: float, burst: int, now: Callable[[], float]) -> None:
        self._rate, self._burst, self._now = rate, burst, now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, client: str) -> None:
        """Count one request of `client`. Raises Refusal when it makes too many."""
        now = self._now()
        left, since = self._buckets.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._rate)
        self._buckets[client] = (max(0.0, left - 1), now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if left < 1:
            wait = max(1, math.ceil((1 - left) / self._rate))
            raise Refusal(429, f"too many requests: at most {self._rate:g} a second", [("retry-after", str(wait))])


def check_host(headers: Mapping[str, str], config: GatewayConfig) -> None:
    """Refuse a request for another host name: a web page whose name was pointed at us (DNS rebinding).

    An address can't be pointed elsewhere, so addresses pass where the service is open to other machines.
    """
    name = _host_name(headers.get("host", ""))
    if is_loopback(name) or name in {each.lower() for each in (config.host, *config.hosts)}:
        return
    if not is_loopback(config.host) and ip_of(name):
        return
    raise Refusal(403, f"this service does not answer to the name {name[:100]!r}; the setting `hosts` can add it")


def check_origin(headers: Mapping[str, str], config: GatewayConfig) -> None:
    """Refuse requests of web pages of another origin: a browser lets them send, though not read the answer."""
    origin = headers.get("origin")
    if origin is None or origin in config.origins:
        return
    if urlsplit(origin).netloc != headers.get("host"):
        raise Refusal(403, "web pages of another origin may not use this service; the setting `origins` can allow one")


def check_token(headers: Mapping[str, str], token: str | None) -> None:
    """Refuse requests without the token: `Authorization: Bearer TOKEN`, or the password of `http://any:TOKEN@…`."""
    if token is None:
        return
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        shown = basic_credentials(headers["authorization"])[1]
    elif scheme.lower() != "bearer":
        shown = ""
    if not hmac.compare_digest(shown.strip().encode(), token.encode()) or not shown:
        raise Refusal(401, "this service needs its token: Authorization: Bearer …", [("www-authenticate", "Bearer")])


def basic_credentials(authorization: str) -> tuple[str, str]:
    """Return user and password of `Authorization: Basic …` (RFC 7617); both empty for another scheme."""
    scheme, _, shown = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(shown.strip(), validate=True).decode("utf-8", "replace").partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


def _host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and ":" in host else host


def _headers(scope: Scope) -> Headers:
    headers = Headers(scope=scope)
    if len(headers.getlist("host")) > 1:
        raise Refusal(400, "more than one Host header")
    return headers


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the request is larger than {limit:,} bytes")


def _receive_body(body: bytes, receive: Receive) -> Receive:
    first = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_body() -> Message:
        return next(first, None) or await receive()

    return receive_body
