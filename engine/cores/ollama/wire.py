"""The connection to an Ollama server: every answer is checked and bounded before the official client reads it.

The client (0.6.3) reads lines of any length, takes U+0085 inside a JSON string for the end of a line, replaces invalid
UTF-8 silently and stumbles over JSON that is not an object. So a transport of ours stands in between: every record of a
stream is read up to a cap, decoded strictly, parsed, and handed on as one clean line.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import httpx
import ollama

from engine.cores.addresses import Address
from engine.cores.http import LINE_CAP, Capped, GuardedTransport, WireError, decoded, error_text, start_of, whole_lines
from engine.cores.ollama.faults import StreamError, web_page

_PAGE_CAP = 4096
_STREAMING = ("/api/chat", "/api/generate", "/api/pull")
# Characters at which httpx would break a line, or that pydantic refuses in a string.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class OllamaTransport(GuardedTransport):
    """Reads streams record by record, refuses web pages, and alone knows the key. Caps in bytes."""

    def __init__(self, url: str, *, key: str | None, connect_s: float, line_cap: int) -> None:
        super().__init__(url, connect_s=connect_s)
        self._key, self._line_cap = key, line_cap

    def _outgoing(self, request: httpx.Request) -> httpx.Request:
        request.headers.pop("Authorization", None)  # the client gives OLLAMA_API_KEY to any host
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    async def _check(self, response: httpx.Response) -> None:
        """Raise WireError for a successful answer in HTML: it comes from a proxy, or from another kind of server."""
        if "html" not in response.headers.get("content-type", "").lower():
            return
        start = b""
        async for piece in cast(httpx.AsyncByteStream, response.stream):
            start += piece
            if len(start) > _PAGE_CAP:
                break
        page = web_page(start[:_PAGE_CAP].decode("utf-8", "replace")) or "a web page"
        raise WireError(f"it answers with {page}, as a proxy or a sign-in page does", foreign=True)

    def _body(
        self, request: httpx.Request, response: httpx.Response, source: httpx.AsyncByteStream
    ) -> httpx.AsyncByteStream:
        if request.url.path.endswith(_STREAMING):
            return _Lines(source, self._line_cap)
        return super()._body(request, response, source)


class _Lines(Capped):
    """Newline-delimited JSON objects, each yielded whole as one safe line; at most `cap` bytes a line."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for line in split_lines(self._source, self._cap):
            yield clean_record(line)


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


async def _without_error(lines: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    async for line in lines:
        if b'"error"' in line and (error := json.loads(line).get("error")):
            raise StreamError(error)
        yield line


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def clean_record(line: bytes) -> bytes:
    """Return one record as a line that the client reads as meant. Raises WireError if it is not a JSON object."""
    try:
        record = json.loads(decoded(line, "a line"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise WireError(f"a line is not JSON: {start_of(line)}") from None
    if not isinstance(record, dict):
        raise WireError(f"a line is not a JSON object: {start_of(line)}")
    if record.get("error") and not isinstance(record["error"], str):
        record["error"] = error_text(record["error"])
    text = json.dumps(record, ensure_ascii=False)
    return _UNSAFE.sub(_escape, text).encode("utf-8") + b"\n"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


class Connection:
    """The official client on a guarded transport, and a plain one on the same for the fields that it drops."""

    def __init__(
        self, address: Address, *, key: str | None = None, connect_s: float, read_s: float, line_cap: int = LINE_CAP
    ) -> None:
        shared: dict[str, Any] = {
            "timeout": httpx.Timeout(read_s, connect=connect_s),
            "headers": {"Accept-Encoding": "identity"},
            "transport": OllamaTransport(address.url, key=key, connect_s=connect_s, line_cap=line_cap),
            "follow_redirects": False,
            "trust_env": False,
        }
        self.client = ollama.AsyncClient(address.url, **shared)
        self._plain = httpx.AsyncClient(base_url=address.url, **shared)

    async def get(self, path: str) -> bytes:
        """The body of a GET. Raises StatusError, WireError and httpx's errors."""
        return (await self._plain.get(path)).content

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The body of the answer to a POST of a JSON object. Raises as `get` does."""
        return (await self._plain.post(path, json=body)).content

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The records of a POST's answer, each a line of JSON. Raises as `get` does; StreamError for an error in it.

        Not the official client: of a tool's parameters it sends only the first level, and it drops the ids of calls.
        """
        async with (
            self._plain.stream("POST", path, json=body) as response,
            aclosing(_without_error(response.aiter_raw())) as lines,
        ):
            yield lines

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self.client.close()  # type: ignore[no-untyped-call]
        await self._plain.aclose()
