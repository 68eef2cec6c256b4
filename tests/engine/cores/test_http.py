"""A request reaches a server once: connections are not used again, and nothing is sent a second time."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from engine.cores.http import GuardedTransport
from tests.waiting import PATIENCE_S


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_a_server_that_hangs_up_got_the_request_once(method: str) -> None:
    """The server answers one request, with its connection kept open, and hangs up on the next without an answer."""
    requests: list[tuple[int, str]] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                requests.append((number, head.decode().split()[0]))
                if len(requests) > 1:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = httpx.AsyncClient(transport=GuardedTransport(url, connect_s=PATIENCE_S))
    async with asyncio.timeout(PATIENCE_S), server, client as http:
        await http.get(url)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await http.request(method, url)
    assert requests == [(1, "GET"), (2, method)]
