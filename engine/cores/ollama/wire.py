"""What comes over the wire from an Ollama server, checked and bounded before the official client reads it.

The client (0.6.3) reads lines of any length, takes U+0085 inside a JSON string for the end of a line, replaces invalid
UTF-8 silently and stumbles over JSON that is not an object. So a transport of ours stands in between: every record of a
stream is read up to a cap, decoded strictly, parsed, and handed on as one clean line.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any, cast

import httpx
import ollama

from engine.cores.dns import Resolver
from engine.cores.http import (
    BODY_CAP,
    LINE_CAP,
    Capped,
    WireError,
    check_head,
    error_text,
    start_of,
    transport,
    whole_lines,
)
from engine.cores.ollama.address import Address

_STREAMING = ("/api/chat", "/api/generate", "/api/pull")
# What httpx would break a line at, and what pydantic refuses in a string.
_TROUBLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class GuardedTransport(httpx.AsyncBaseTransport):
    """An httpx transport that raises StatusError and WireError, and never reads without a bound. Caps in bytes."""

    def __init__(self, inner: httpx.AsyncBaseTransport, resolver: Resolver, *, line_cap: int, body_cap: int) -> None:
        self._inner, self._resolver, self._line_cap, self._body_cap = inner, resolver, line_cap, body_cap

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._resolver.check(request.url.host)
        response = await self._inner.handle_async_request(request)
        source = cast(httpx.AsyncByteStream, response.stream)
        try:
            await check_head(response)
        except BaseException:
            await source.aclose()
            raise
        stream: httpx.AsyncByteStream = Capped(source, self._body_cap)
        if request.url.path.endswith(_STREAMING):
            stream = _Lines(source, self._line_cap, foreign="html" in response.headers.get("content-type", ""))
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


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
    async for line in whole_lines(source, cap):
        if not line.strip():
            continue
        if not line.endswith(b"\n"):
            try:
                clean_record(line)
            except WireError:
                raise WireError("the stream broke off in the middle of a line", cut=True) from None
        yield line.removesuffix(b"\n")


def clean_record(line: bytes) -> bytes:
    """Return one record as a line that the client reads as meant. Raises WireError if it is not a JSON object."""
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise WireError("a line is not valid UTF-8") from None
    except (ValueError, RecursionError):
        raise WireError(f"a line is not JSON: {start_of(line)}") from None
    if not isinstance(record, dict):
        raise WireError(f"a line is not a JSON object: {start_of(line)}")
    if record.get("error") and not isinstance(record["error"], str):
        record["error"] = error_text(record["error"])
    text = json.dumps(record, ensure_ascii=False)
    return _TROUBLE.sub(_escape, text).encode("utf-8") + b"\n"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


class Connection:
    """The official client on a guarded transport, and a plain one on the same for what that client drops."""

    def __init__(
        self, address: Address, *, connect_s: float, read_s: float, line_cap: int = LINE_CAP, body_cap: int = BODY_CAP
    ) -> None:
        guard = GuardedTransport(transport(address.url), Resolver(connect_s), line_cap=line_cap, body_cap=body_cap)
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

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The body of the answer to a POST of a JSON object. Raises as `get` does."""
        return (await self._plain.post(path, json=body)).content

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self.client.close()  # type: ignore[no-untyped-call]
        await self._plain.aclose()
