"""A request reaches a server that hangs up at most once, if it may change anything there."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from engine.cores.http import GuardedTransport
from tests.waiting import PATIENCE_S


@pytest.mark.parametrize(("method", "sent"), [("POST", 1), ("DELETE", 1), ("GET", 2)])
@pytest.mark.parametrize("answered", [0, 1], ids=["new connection", "used connection"])
async def test_only_what_changes_nothing_is_sent_again(method: str, sent: int, answered: int) -> None:
    """The server reads a request and hangs up, after it has answered `answered` others on the same connection."""
    requests: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            requests.append(head.decode().split()[0])
            if len(requests) > answered:
                break
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        asyncio.timeout(PATIENCE_S),
        server,
        httpx.AsyncClient(transport=GuardedTransport(url, connect_s=5)) as http,
    ):
        for _ in range(answered):
            await http.get(url)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await http.request(method, url)
    assert requests[answered:] == [method] * sent
