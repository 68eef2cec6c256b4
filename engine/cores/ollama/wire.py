"""What comes over the wire from an Ollama server, checked and bounded before the official client reads it.

The client (0.6.3) reads lines of any length, takes U+0085 inside a JSON string for the end of a line, replaces invalid
UTF-8 silently and stumbles over JSON that is not an object. So a transport of ours stands in between: every record of a
stream is read up to a cap, decoded strictly, parsed, and handed on as one clean line.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, cast

import httpx
import ollama

from engine.cores.ollama.address import Address
from engine.cores.ollama.dns import Resolver
from engine.text import one_line

LINE_CAP = 1 << 20
BODY_CAP = 16 << 20
_ERROR_CAP = 64 << 10
_STREAMING = ("/api/chat", "/api/generate", "/api/pull")
# The slots are the limit; a pool of httpx's would be a second queue, without priorities.
_UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=None)
# What httpx would break a line at, and what pydantic refuses in a string.
_TROUBLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class WireError(Exception):
    """What came is not Ollama's protocol. `cut`: it broke off, rather than being wrong."""

    def __init__(self, message: str, *, cut: bool = False, foreign: bool = False) -> None:
        super().__init__(message)
        self.cut = cut
        self.foreign = foreign


class StatusError(Exception):
    """An answer with a status other than 2xx.

    Attributes:
        message: the server's own words on one line. ours: they came as Ollama's `{"error": …}`.
    """

    def __init__(self, status: int, message: str, *, ours: bool) -> None:
        super().__init__(message)
        self.status, self.message, self.ours = status, message, ours


class GuardedTransport(httpx.AsyncBaseTransport):
    """An httpx transport that raises StatusError and WireError, and never reads without a bound. Caps in bytes."""

    def __init__(self, inner: httpx.AsyncBaseTransport, resolver: Resolver, *, line_cap: int, body_cap: int) -> None:
        self._inner, self._resolver, self._line_cap, self._body_cap = inner, resolver, line_cap, body_cap

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._resolver.check(request.url.host)
        response = await self._inner.handle_async_request(request)
        source = cast(httpx.AsyncByteStream, response.stream)
        try:
            await _check_head(response)
        except BaseException:
            await source.aclose()
            raise
        stream: httpx.AsyncByteStream = _Capped(source, self._body_cap)
        if request.url.path.endswith(_STREAMING):
            stream = _Lines(source, self._line_cap, foreign="html" in response.headers.get("content-type", ""))
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Capped(httpx.AsyncByteStream):
    """A body of at most `cap` bytes."""

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


class _Lines(httpx.AsyncByteStream):
    """Newline-delimited JSON objects, each yielded whole as one safe line; at most `cap` bytes a line."""

    def __init__(self, source: httpx.AsyncByteStream, cap: int, *, foreign: bool) -> None:
        self._source, self._cap, self._foreign = source, cap, foreign

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for line in split_lines(self._source, self._cap):
                yield clean_record(line)
        except WireError as error:
            error.foreign = error.foreign or self._foreign
            raise

    async def aclose(self) -> None:
        await self._source.aclose()


async def split_lines(source: AsyncIterable[bytes], cap: int) -> AsyncIterator[bytes]:
    """Yield the lines of `source` without their newline, blank ones left out. Raises WireError past `cap` bytes.

    The last line may lack its newline; if it is no JSON then, the stream broke off in it, and the error says so.
    """
    buffer = bytearray()
    async for piece in source:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            buffer += piece[start:end]
            start = end + 1
            _check_length(buffer, cap)
            if buffer.strip():
                yield bytes(buffer)
            buffer.clear()
        buffer += piece[start:]
        _check_length(buffer, cap)
    if buffer.strip():
        try:
            clean_record(bytes(buffer))
        except WireError:
            raise WireError("the stream broke off in the middle of a line", cut=True) from None
        yield bytes(buffer)


def _check_length(buffer: bytearray, cap: int) -> None:
    if len(buffer) > cap:
        raise WireError(f"a line is longer than {cap} bytes")


def clean_record(line: bytes) -> bytes:
    """Return one record as a line that the client reads as meant. Raises WireError if it is not a JSON object."""
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise WireError("a line is not valid UTF-8") from None
    except (ValueError, RecursionError):
        raise WireError(f"a line is not JSON: {_start(line)}") from None
    if not isinstance(record, dict):
        raise WireError(f"a line is not a JSON object: {_start(line)}")
    if record.get("error") and not isinstance(record["error"], str):
        record["error"] = _error_text(record["error"])
    text = json.dumps(record, ensure_ascii=False)
    return _TROUBLE.sub(_escape, text).encode("utf-8") + b"\n"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def _start(line: bytes) -> str:
    return one_line(line[:200].decode("utf-8", "replace"), 60)


def _error_text(error: Any) -> str:
    """Ollama's errors are strings; its OpenAI-compatible routes and some proxies send an object with a message."""
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        error = error["message"]
    return one_line(error if isinstance(error, str) else json.dumps(error), 500)


async def _check_head(response: httpx.Response) -> None:
    """Raise what status and headers give cause for."""
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
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict) and parsed.get("error"):
        return StatusError(status, _error_text(parsed["error"]), ours=True)
    return StatusError(status, one_line(text, 200), ours=False)


class Connection:
    """The official client on a guarded transport, and a plain one on the same for what that client drops."""

    def __init__(
        self, address: Address, *, connect_s: float, read_s: float, line_cap: int = LINE_CAP, body_cap: int = BODY_CAP
    ) -> None:
        # Loading the CA bundle takes a tenth of a second; over plain http no certificate is ever looked at.
        verify: ssl.SSLContext | bool = address.url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        inner = httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=_UNLIMITED)
        guard = GuardedTransport(inner, Resolver(connect_s), line_cap=line_cap, body_cap=body_cap)
        timeout = httpx.Timeout(read_s, connect=connect_s)
        headers = {"Accept-Encoding": "identity"}
        self.client = ollama.AsyncClient(
            address.url, timeout=timeout, follow_redirects=False, trust_env=False, headers=headers, transport=guard
        )
        self._plain = httpx.AsyncClient(
            base_url=address.url, timeout=timeout, follow_redirects=False, trust_env=False, headers=headers,
            transport=guard,
        )  # fmt: skip

    async def get(self, path: str) -> bytes:
        """The body of a GET. Raises StatusError, WireError and httpx's errors."""
        return (await self._plain.get(path)).content

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self.client.close()  # type: ignore[no-untyped-call]
        await self._plain.aclose()
