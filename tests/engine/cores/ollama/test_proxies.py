"""Proxies in front of an Ollama server, other servers in its place, and keys that are not for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.cores.ollama.address import key_for, parse_address
from engine.cores.ollama.core import OllamaCore
from engine.cores.port import Done, Fault, FaultKind
from engine.errors import CoreError, UsageError
from tests.engine.cores.helpers import Final, Raw, Say, Status
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.test_core import MODEL, attempt, run

KEY = "sk-0123456789abcdef"


@asynccontextmanager
async def saying(answer: bytes, *first: bytes) -> AsyncIterator[str]:
    """The address of a server that sends `first` to its first clients, one each, and `answer` to all others."""
    answers = [answer, *reversed(first)]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(answers.pop() if len(answers) > 1 else answer)
            await reader.read(65_536)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be reached (it hung up without an answer; perhaps it wants https)"),
        (b"\x15\x03\x01\x00\x02\x02F", "is not Ollama (it does not speak HTTP, or wants https://)"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 39\r\n\r\n"
         b"<html><title>My router</title></html>  ", "is not Ollama (it answers with the web page 'My router'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "it does not report Ollama's version"),
        (b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://box/\r\nContent-Length: 0\r\n\r\n",
         "is not Ollama (it redirects to https://box/)"),
        (b"", "cannot be reached (it hung up without an answer; perhaps it wants https)"),
    ],
)  # fmt: skip
async def test_what_answers_in_its_place(answer: bytes, words: str) -> None:
    async with saying(answer) as host:
        with pytest.raises(CoreError) as caught:
            await OllamaCore(host).start()
    assert host in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_https_where_there_is_none() -> None:
    """As Go's servers answer what is not HTTP."""
    async with saying(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request") as host:
        with pytest.raises(CoreError, match="it does not speak https"):
            await OllamaCore(f"https://{host}").start()


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host)
        await core.start()
        assert (await core.inspect()).healthy
        assert isinstance((await run(core))[1], Done)
        await core.stop(drain_s=0)


async def test_two_hundred_megabytes_in_one_line_are_not_read() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host)
        await core.start()
        fake.scripts.append((Say("one"), *[Raw(b"x" * 65_536)] * 3_200, Final()))
        text, fault = await run(core)
        assert isinstance(fault, Fault)
        assert (text, fault.kind) == ("one", FaultKind.BROKEN_STREAM)
        assert "a line is longer than 1048576 bytes" in fault.reason
        await fake.until(lambda server: server.disconnects == 1)
        await core.stop(drain_s=0)


class TestKeys:
    @pytest.mark.parametrize(
        ("address", "named", "sent"),
        [
            ("https://ollama.com", None, True),
            ("https://api.ollama.com", None, True),
            ("http://ollama.com", None, False),  # in the clear
            ("https://ollama.com.evil.example", None, False),
            ("https://notollama.com", None, False),
            ("gpu-box", None, False),
            ("gpu-box", "http://gpu-box:11434", True),
            ("gpu-box:11435", "gpu-box", False),
            ("127.0.0.1", "other-box", False),
            ("127.0.0.1", "ftp://broken", False),
        ],
    )
    def test_whom_the_key_is_for(self, address: str, named: str | None, sent: bool) -> None:
        environ = {"OLLAMA_API_KEY": KEY} | ({"OLLAMA_HOST": named} if named else {})
        assert key_for(parse_address(address), environ) == (KEY if sent else None)

    def test_no_key_is_none(self) -> None:
        assert key_for(parse_address("https://ollama.com"), {"OLLAMA_API_KEY": " "}) is None

    def test_two_lines_are_no_key(self) -> None:
        with pytest.raises(UsageError) as caught:
            key_for(parse_address("https://ollama.com"), {"OLLAMA_API_KEY": f"{KEY}\nx"})
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize("meant", [True, False])
    async def test_it_is_sent_nowhere_else(self, monkeypatch: pytest.MonkeyPatch, meant: bool) -> None:
        """The official client reads the variable by itself, for any host."""
        monkeypatch.setenv("OLLAMA_API_KEY", KEY)
        async with FakeOllama(MODEL) as fake:
            environ = {"OLLAMA_API_KEY": KEY} | ({"OLLAMA_HOST": fake.host} if meant else {})
            fake.library = fake.models
            core = OllamaCore(fake.host, environ=environ)
            await core.start()
            await core.inspect()
            await run(core)
            await core.show(MODEL)
            await core.load(MODEL)
            async for _ in core.pull(MODEL):
                pass
            await core.stop(drain_s=0)
            assert len({request.path for request in fake.requests}) >= 6
            given = {request.headers.get("authorization") for request in fake.requests}
        assert given == ({f"Bearer {KEY}"} if meant else {None})

    async def test_a_server_that_repeats_it_does_not_have_it_shown(self) -> None:
        async with FakeOllama(MODEL) as fake:
            core = OllamaCore(fake.host, api_key=KEY)
            await core.start()
            fake.scripts.append(Status(401, f"bad key {KEY}"))
            _, fault = await run(core, attempt(2))
            await core.stop(drain_s=0)
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.REFUSED
        assert KEY not in fault.reason
        assert KEY[:8] not in fault.reason
