"""HTTP for every model server: bounded reading, errors as faults, and a guarded transport without hidden queues."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any, TypeVar, cast

import httpx
from pydantic import BaseModel, ValidationError

from engine.cores.dns import Resolver
from engine.cores.port import Fault, FaultKind
from engine.sanitise import one_line

_Answer = TypeVar("_Answer", bound=BaseModel)

LINE_CAP = 1 << 20
BODY_CAP = 16 << 20
_ERROR_CAP = 64 << 10
_REST_S = 1.0
# The slots are the limit; a pool of httpx's would be a second queue, without priorities.
_ONE_USE = httpx.Limits(max_connections=None, max_keepalive_connections=0)
"""No limit, and no connection is used twice. A server may close an idle one just as the next request is sent on it:
then nobody knows whether it read the prompt, and sending it again could run it twice. A connection costs little beside
a generation."""


class WireError(Exception):
    """The answer is not the server's protocol. `cut`: it broke off. `foreign`: another kind of server answered."""

    def __init__(self, message: str, *, cut: bool = False, foreign: bool = False) -> None:
        super().__init__(message)
        self.cut = cut
        self.foreign = foreign


class StatusError(Exception):
    """An answer with a status other than 2xx.

    Attributes:
        message: the server's own words on one line. ours: they came as `{"error": …}`, as its protocol says.
        retry_after: the header of that name, as sent. body: the answer, where it is JSON.
    """

    def __init__(self, status: int, message: str, *, ours: bool, retry_after: str = "", body: Any = None) -> None:
        super().__init__(message)
        self.status, self.message, self.ours, self.retry_after, self.body = status, message, ours, retry_after, body


def transport(url: str) -> httpx.AsyncHTTPTransport:
    """Return a transport for that server: no proxy, and no limit to its connections."""
    # Loading the CA bundle takes a tenth of a second; over plain http no certificate is ever looked at.
    verify: ssl.SSLContext | bool = url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=_ONE_USE)


class GuardedTransport(httpx.AsyncBaseTransport):
    """The base of each protocol's transport: it bounds what is read and raises StatusError and WireError.

    A subclass says what is sent (`_outgoing`), what else is refused (`_check`) and how a body is read (`_body`).
    """

    def __init__(self, url: str, *, connect_s: float) -> None:
        self._inner, self._resolver = transport(url), Resolver(connect_s)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._resolver.check(request.url.host)
        outgoing = self._outgoing(request)
        response = await self._inner.handle_async_request(outgoing)
        source = cast(httpx.AsyncByteStream, response.stream)
        try:
            await check_head(response)
            await self._check(response)
        except BaseException:
            await source.aclose()
            raise
        stream = self._body(request, response, source)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _outgoing(self, request: httpx.Request) -> httpx.Request:
        return request

    async def _check(self, response: httpx.Response) -> None:
        return

    def _body(
        self, request: httpx.Request, response: httpx.Response, source: httpx.AsyncByteStream
    ) -> httpx.AsyncByteStream:
        return Capped(source, BODY_CAP)


async def read_to_end(lines: AsyncIterator[Any]) -> None:
    """Read and drop the rest of a response for at most a second, so that the server does not see its client leave."""
    with suppress(TimeoutError, httpx.HTTPError, StatusError, WireError):
        async with asyncio.timeout(_REST_S):
            async for _ in lines:
                pass


class Capped(httpx.AsyncByteStream):
    """A body of at most `cap` bytes; WireError past that."""

    def __init__(self, source: httpx.AsyncByteStream, cap: int) -> None:
        self._source, self._cap = source, cap

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for piece in self._source:
            seen += len(piece)
            if seen > self._cap:
                raise WireError(f"the answer is larger than {self._cap} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._source.aclose()


async def whole_lines(source: AsyncIterable[bytes], cap: int) -> AsyncIterator[bytes]:
    """Yield the lines of `source`, each with its newline, which the last may lack. WireError past `cap` bytes."""
    buffer = bytearray()
    async for piece in source:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            buffer += piece[start:end]
            start = end + 1
            _check_length(buffer, cap)
            yield bytes(buffer) + b"\n"
            buffer.clear()
        buffer += piece[start:]
        _check_length(buffer, cap)
    if buffer:
        yield bytes(buffer)


def _check_length(buffer: bytearray, cap: int) -> None:
    if len(buffer) > cap:
        raise WireError(f"a line is longer than {cap} bytes")


def read_as(kind: type[_Answer], body: bytes, problem: str) -> _Answer:
    """Parse an answer. Raises WireError with the line `problem` for another shape: it is another kind of server's."""
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        raise WireError(problem, foreign=True) from None


def decoded(content: bytes, noun: str) -> str:
    """Decode UTF-8. Raises WireError, naming `noun`, for anything else."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise WireError(f"{noun} is not valid UTF-8") from None


def start_of(line: bytes) -> str:
    """Return the first few characters of a line, for messages."""
    return one_line(line[:200].decode("utf-8", "replace"), 60)


def error_text(error: Any) -> str:
    """Return the text of an error in an answer: a string, or an object with a `message`."""
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        error = error["message"]
    return one_line(error if isinstance(error, str) else json.dumps(error), 500)


async def check_head(response: httpx.Response) -> None:
    """Check status and headers. Raises StatusError, and WireError for a compressed answer."""
    if not response.is_success:
        raise await _status_error(response)
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise WireError(f"the answer is compressed ({one_line(encoding, 30)}) though that was not asked for")


async def _status_error(response: httpx.Response) -> StatusError:
    status = response.status_code
    if 300 <= status < 400:
        return StatusError(status, one_line(response.headers.get("location", "nowhere"), 200), ours=False)
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > _ERROR_CAP:
            break
    text = bytes(body[:_ERROR_CAP]).decode("utf-8", "replace")
    retry_after = response.headers.get("retry-after", "")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, list) and len(parsed) == 1:  # as Gemini wraps it
        parsed = parsed[0]
    ours = isinstance(parsed, dict) and bool(parsed.get("error"))
    message = error_text(parsed["error"]) if ours else one_line(text, 200)
    return StatusError(status, message, ours=ours, retry_after=retry_after, body=parsed)


def connection_fault(error: Exception, server: str, *, started: bool) -> Fault:
    """Return the fault of an error that is not the server's own. `started`: part of the answer had come.

    `server`: its name in messages, such as `Ollama at den:11434`. An unknown error is a bug of ours (INTERNAL).
    """
    match error:
        case WireError():
            return Fault(FaultKind.BROKEN_STREAM, f"the answer of {server} is broken: {error}", True)
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            return Fault(FaultKind.GAP_TIMEOUT, f"{server} accepted the request and then fell silent", True)
        case TimeoutError():
            return Fault(FaultKind.GAP_TIMEOUT, f"{server} did not answer in time", True)
        case httpx.TransportError() | OSError() if started:
            return Fault(FaultKind.BROKEN_STREAM, f"the connection to {server} broke in mid-answer", True)
        case httpx.TransportError() | OSError():
            reason = f"{server} cannot be reached ({_cause(error)}); start it, or check its address"
            return Fault(FaultKind.UNREACHABLE, reason, True)
        case _:
            reason = one_line(f"the core for {server} failed: {type(error).__name__}: {error}")
            return Fault(FaultKind.INTERNAL, reason, False)


def _cause(error: Exception) -> str:
    """Return why a connection failed, in a few words. httpx words it alike for every refused one."""
    text = one_line(str(error), 120).rstrip(".")
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer in time"
    if "All connection attempts failed" in text:
        return "connection refused"
    if "WRONG_VERSION_NUMBER" in text:
        return "it does not speak https"
    if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return "it hung up without an answer; perhaps it wants https"
    return text or type(error).__name__
