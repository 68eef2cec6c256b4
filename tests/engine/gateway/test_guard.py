"""Who is let through, and who is not."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from engine.errors import UsageError
from engine.gateway.config import GatewayConfig, is_loopback
from engine.gateway.guard import Guard, RateLimiter, Refusal
from engine.gateway.server import listen
from tests.engine.gateway.helpers import application, gateway, served
from tests.engine.kernel.helpers import GateCore, make_kernel
from tests.waiting import PATIENCE_S

TOKEN = "a-token-of-some-length"
PATH = "/core/status"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("LOCALHOST", 200),
        ("desk.example:8000", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:8000", 403),
        ("192.168.1.5:8000", 403),
        ("", 403),
        ("[::1", 200),
        ("\xff:x:9", 403),
    ],
)
async def test_only_our_own_names_are_answered_to(host: str, status: int) -> None:
    async with gateway(GateCore(), config=GatewayConfig(hosts=("desk.example",))) as here:
        answer = await here.http.get(PATH, headers=[(b"host", host.encode("latin-1"))])
        assert answer.status_code == status
        assert status == 200 or "answer to the name" in answer.json()["detail"]


async def test_open_to_other_machines_addresses_pass_and_names_do_not() -> None:
    config = GatewayConfig(host="0.0.0.0", token=TOKEN)
    async with gateway(GateCore(), config=config, peer="10.0.0.9") as here:
        shown = {"authorization": f"Bearer {TOKEN}"}
        assert (await here.http.get(PATH, headers={"host": "10.0.0.1:8000", **shown})).status_code == 200
        assert (await here.http.get(PATH, headers={"host": "evil.example", **shown})).status_code == 403


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        ("Bearer " + TOKEN[:-1], 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode(), 200),
        ("Basic " + base64.b64encode(b"any:other").decode(), 401),
        ("Basic !!!", 401),
        ("Digest " + TOKEN, 401),
    ],
)
async def test_a_token_is_asked_for_where_there_is_one(shown: str | None, status: int) -> None:
    async with gateway(GateCore(), config=GatewayConfig(token=TOKEN)) as here:
        headers = {} if shown is None else {"authorization": shown}
        for path in (PATH, "/openapi.json", "/v1/events", "/nowhere"):
            if status == 200 and path != PATH:
                continue
            assert (await here.http.get(path, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:8000", 200), ("https://desk.example", 200), ("https://evil.example", 403), ("null", 403)],
)
async def test_web_pages_of_others_can_do_nothing(origin: str, status: int) -> None:
    async with gateway(GateCore(), config=GatewayConfig(origins=("https://desk.example",))) as here:
        assert (await here.http.post("/v1/pause", headers={"origin": origin})).status_code == status
        assert here.kernel.state == ("paused" if status == 200 else "running")


async def test_no_web_page_may_read_unless_configured() -> None:
    question = {"origin": "https://desk.example", "access-control-request-method": "POST"}
    async with gateway(GateCore()) as here:
        assert "access-control-allow-origin" not in (await here.http.get(PATH)).headers
        assert (await here.http.options("/v1/pause", headers=question)).status_code == 403
    async with gateway(GateCore(), config=GatewayConfig(origins=("https://desk.example",), token=TOKEN)) as here:
        answer = await here.http.options("/v1/pause", headers=question)
        assert answer.headers["access-control-allow-origin"] == "https://desk.example"


async def test_a_large_request_is_refused_told_or_streamed() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    async with served(GateCore(), config=GatewayConfig(max_body_bytes=1000)) as here:
        json_type = {"content-type": "application/json"}
        announced = await here.http.post("/agents/submit", content=b"x" * 1001, headers=json_type)
        assert (announced.status_code, announced.json()["detail"]) == (413, "the request is larger than 1,000 bytes")
        streamed = await here.http.post("/agents/submit", content=pieces(), headers=json_type)
        assert streamed.status_code == 413
        assert (await here.http.get(PATH)).status_code == 200


@pytest.mark.parametrize(("size", "status"), [(100, 422), (101, 413)])
async def test_a_request_may_be_as_large_as_the_limit(size: int, status: int) -> None:
    async def piece() -> AsyncIterator[bytes]:
        yield b"x" * size

    async with gateway(GateCore(), config=GatewayConfig(max_body_bytes=100)) as here:
        for content in (b"x" * size, piece()):
            assert (await here.http.post("/agents/submit", content=content)).status_code == status


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with served(GateCore(), config=GatewayConfig(body_s=0.05)) as here:
        host, _, port = here.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /core/cleanup HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{")
        assert b" 408 " in await asyncio.wait_for(reader.readline(), PATIENCE_S)
        writer.close()


def test_a_client_that_asks_too_often_is_slowed_down_and_others_are_not() -> None:
    now = 0.0
    rates = RateLimiter(10, 3, lambda: now)
    for _ in range(3):
        rates.count("a")
    with pytest.raises(Refusal) as refused:
        rates.count("a")
    assert (refused.value.status, dict(refused.value.headers)) == (429, {"retry-after": "1"})
    rates.count("b")
    now = 0.11
    rates.count("a")
    with pytest.raises(Refusal):
        rates.count("a")


@pytest.mark.parametrize(("now", "wait"), [(0.0, "4"), (1.0, "3"), (2.0, "2"), (3.9, "1")])
def test_the_wait_is_until_the_next_request_may_come(now: float, wait: str) -> None:
    clock = 0.0
    rates = RateLimiter(0.25, 1, lambda: clock)
    rates.count("a")
    clock = now
    with pytest.raises(Refusal) as refused:
        rates.count("a")
    assert dict(refused.value.headers) == {"retry-after": wait}


async def test_too_many_requests_are_answered_so() -> None:
    async with gateway(GateCore(), config=GatewayConfig(rate=0.001, burst=2)) as here:
        codes = [(await here.http.get(PATH)).status_code for _ in range(3)]
        assert codes == [200, 200, 429]


async def test_a_trusted_socket_needs_neither_name_nor_token() -> None:
    config = GatewayConfig(token=TOKEN, rate=0.001, burst=1)
    kernel = make_kernel(GateCore())
    await kernel.start()
    guard = Guard(application(kernel, config), config, trusted=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://any") as http:
        assert [(await http.get(PATH)).status_code for _ in range(3)] == [200] * 3
    await kernel.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "desk.example", ""])
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="needs a token"):
        GatewayConfig(host=host).check()
    GatewayConfig(host=host, token=TOKEN).check()


def test_a_short_token_is_none() -> None:
    with pytest.raises(UsageError, match="too short"):
        GatewayConfig(token="secret").check()


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_what_is_this_machine_only(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_a_name_that_is_none_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"host 'nowhere\.invalid'"):
        listen("nowhere.invalid", 0)


def test_answers_are_sent_at_once() -> None:
    """asyncio switches Nagle's delay off for sockets that say they are TCP, and for no others."""
    for made in listen("127.0.0.1", 0):
        with made:
            assert made.proto == socket.IPPROTO_TCP
