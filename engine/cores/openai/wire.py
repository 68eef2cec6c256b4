"""The connection to an OpenAI-compatible server: the official client, on a transport that bounds and guards it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Any, cast

import httpx
from pydantic import SecretStr

from engine.cores.http import LINE_CAP, GuardedTransport, WireError, decoded
from engine.cores.openai.sse import frames
from engine.errors import CoreError

INSTALL_COMMAND = "pip install openai"
# All headers that leave this machine. The client would add those of OPENAI_* variables, and facts about the machine.
_SENT = ("host", "accept", "content-type", "content-length", "connection", "transfer-encoding")


class OpenAITransport(GuardedTransport):
    """Sends the headers in `_SENT` alone, reads events as they come, and alone knows the key."""

    def __init__(self, url: str, *, key: SecretStr | None, connect_s: float) -> None:
        super().__init__(url, connect_s=connect_s)
        self._key = key

    def _outgoing(self, request: httpx.Request) -> httpx.Request:
        headers = [(name, value) for name, value in request.headers.items() if name in _SENT]
        headers += [("accept-encoding", "identity"), ("user-agent", "aios-tui")]
        if self._key is not None:
            headers.append(("authorization", f"Bearer {self._key.get_secret_value()}"))
        return httpx.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def _body(
        self, request: httpx.Request, response: httpx.Response, source: httpx.AsyncByteStream
    ) -> httpx.AsyncByteStream:
        # Events are bounded one by one as they are read.
        events = request.url.path.endswith("/completions") and "json" not in _kind(response)
        return source if events else super()._body(request, response, source)


class Connection:
    """One server. Durations in seconds. Raises CoreError, with the command to run, where the client is not installed.

    All of its calls raise StatusError, WireError, and httpx's errors.
    """

    def __init__(
        self, url: str, key: SecretStr | None, *, connect_s: float, read_s: float, line_cap: int = LINE_CAP
    ) -> None:
        if find_spec("openai") is None:
            raise CoreError(f"a core of this kind needs OpenAI's client; run `{INSTALL_COMMAND}`")
        import openai

        self._failures = openai.APIConnectionError
        self._line_cap = line_cap
        timeout = httpx.Timeout(read_s, connect=connect_s)
        transport = OpenAITransport(url, key=key, connect_s=connect_s)
        self._http = httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)
        # The key is the transport's; with one of its own the client does not look for another in the environment.
        self._client = openai.AsyncOpenAI(
            api_key="not-used",
            base_url=url,
            http_client=cast(Any, self._http),
            timeout=cast(Any, timeout),
            max_retries=0,
        )

    async def models(self) -> bytes:
        """The body of the list of models."""
        with _unwrapped(self._failures):
            raw = await self._client.models.with_raw_response.list()
        return bytes(raw.http_response.content)

    @asynccontextmanager
    async def stream(self, body: Mapping[str, Any], *, raw: bool) -> AsyncIterator[AsyncIterator[str]]:
        """Ask for a streamed completion, of a chat or of a bare prompt (`raw`); gives the data of its events.

        Leaving closes the connection.
        """
        rest = {name: value for name, value in body.items() if name not in ("model", "messages", "prompt")}
        if raw:
            create = self._client.completions.with_streaming_response.create
            request: Any = create(model=body["model"], prompt=body["prompt"], stream=True, extra_body=rest)
        else:
            ask = self._client.chat.completions.with_streaming_response.create
            request = ask(model=body["model"], messages=body["messages"], stream=True, extra_body=rest)
        with _unwrapped(self._failures):
            response = (await request.__aenter__()).http_response
        try:
            yield self._events(response)
        finally:
            await response.aclose()

    async def _events(self, response: httpx.Response) -> AsyncIterator[str]:
        kind = _kind(response)
        if "html" in kind:
            raise WireError("it answers with a web page", foreign=True)
        if "json" in kind:  # an error, or the whole answer at once
            yield decoded(b"".join([piece async for piece in response.aiter_raw()]), "the answer")
            return
        async for data in frames(response.aiter_raw(), self._line_cap):
            yield data

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self._http.aclose()


@contextmanager
def _unwrapped(wrapping: type[Exception]) -> Iterator[None]:
    """Raise the cause in place of the client's own wrapping, which hides whether anybody was reached."""
    try:
        yield
    except wrapping as error:
        if isinstance(error.__cause__, Exception):
            raise error.__cause__  # noqa: B904  (it has a cause of its own)
        raise


def _kind(response: httpx.Response) -> str:
    """Return the content type, in small letters."""
    return str(response.headers.get("content-type", "")).lower()
