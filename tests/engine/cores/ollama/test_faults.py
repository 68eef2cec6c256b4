"""Every way in which an Ollama server may fail on the wire, and what the core makes of it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from engine.cores.http import WireError
from engine.cores.ollama.address import parse_address
from engine.cores.ollama.core import OllamaCore
from engine.cores.ollama.faults import nearest_model
from engine.cores.ollama.wire import clean_record, split_lines
from engine.cores.port import Chunk, Done, Fault, FaultKind, Rejected
from engine.errors import CoreError, UsageError
from tests.engine.cores.helpers import Break, Final, MidstreamError, Raw, Say, Script, Status, Wait
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.test_core import MODEL, QUICK, attempt, run
from tests.waiting import PATIENCE_S

K = FaultKind
HTML = b"<html><body>Welcome</body></html>"


@dataclass(frozen=True, slots=True)
class Case:
    """A misbehaviour, and the fault that it must be: kind, whether to try again, words of its reason."""

    name: str
    script: Script
    kind: FaultKind
    retryable: bool
    words: str
    text: str = ""


RECORD = b'{"model":"m","message":{"role":"assistant","content":"one"},"done":false}\n'
CALL = b'{"message":{"content":"","tool_calls":[{"function":{"name":"t","arguments":{"x":%b}}}]},"done":false}\n'
CASES = [
    Case("no thinker", Status(400, '"m" does not support thinking'), K.BAD_REQUEST, False,
         'HTTP 400); leave out the option think'),
    Case("no tools", Status(400, "registry.ollama.ai/library/m does not support tools"), K.BAD_REQUEST, False,
         "take a model that can call tools"),
    Case("bad format", Status(500, "invalid JSON schema in format"), K.SERVER, True, "invalid JSON schema in format"),
    Case("bad request", Status(400, "missing request body"), K.BAD_REQUEST, False, "missing request body"),
    Case("server error", Status(500, "llama runner process has terminated"), K.SERVER, True, "llama runner process"),
    Case("too large", Status(500, "model requires more system memory (9 GiB) than is available (4 GiB)"), K.NO_MEMORY,
         False, ", HTTP 500); take a smaller model or a smaller num_ctx, or unload another model"),
    Case("too large in the stream", (MidstreamError("CUDA error: out of memory"),), K.NO_MEMORY, False, "unload"),
    Case("gateway", Status(502, HTML), K.UNREACHABLE, True, "a proxy before Ollama at"),
    Case("page of a gateway", Status(504, b"<html><head><title>504 Gateway\nTime-out</title></head>"),
         K.UNREACHABLE, True, "answered HTTP 504 (the web page '504 Gateway Time-out')"),
    Case("page for an answer", Status(200, b"<!doctype html><title>Sign in</title>"), K.SERVER, True,
         "is not Ollama (it answers with the web page 'Sign in', as a proxy"),
    Case("proxy's password", Status(407, b"<h1>Denied</h1>"), K.REFUSED, False, "a proxy before Ollama at"),
    Case("no key", Status(401, "unauthorized"), K.REFUSED, False, "OLLAMA_API_KEY"),
    Case("redirect", Status(302, "", (("Location", "http://127.0.0.1:9/elsewhere"),)), K.SERVER, True,
         "redirects to http://127.0.0.1:9/elsewhere"),
    Case("foreign 404", Status(404, HTML), K.SERVER, True, "is not Ollama"),
    Case("error of many lines", Status(500, "first\nsecond\x1b[2J"), K.SERVER, True, "first second\ufffd[2J"),
    Case("odd error body", Status(500, b"[1, 2]"), K.SERVER, True, "[1, 2]"),
    Case("error in the stream", (Say("one"), MidstreamError()), K.SERVER, True, "unexpected EOF", "one"),
    Case("error object in the stream", (MidstreamError({"message": "no\nmemory"}),), K.SERVER, True, "no memory"),
    Case("closed in the middle", (Say("one"), Break()), K.BROKEN_STREAM, True, "broke in mid-answer", "one"),
    Case("clean end without done", (Say("one"),), K.BROKEN_STREAM, True, "without its final record", "one"),
    Case("empty stream", (), K.BROKEN_STREAM, True, "without its final record"),
    Case("end inside a line", (Say("one"), Raw(RECORD[:30])), K.BROKEN_STREAM, True, "in the middle of a line", "one"),
    Case("not JSON", (Say("one"), Raw(b"oops\n"), Final()), K.BROKEN_STREAM, True, "not JSON: oops", "one"),
    Case("not UTF-8", (Raw(RECORD.replace(b"one", b"\xff\xfe")), Final()), K.BROKEN_STREAM, True, "not valid UTF-8"),
    Case("not an object", (Raw(b"[1]\n"), Final()), K.BROKEN_STREAM, True, "not a JSON object: [1]"),
    Case("nested too deep", (Raw(b"[" * 100_000 + b"\n"), Final()), K.BROKEN_STREAM, True, "not JSON"),
    Case("wrong shape", (Raw(b'{"message": 5, "done": false}\n'), Final()), K.BROKEN_STREAM, True, "wrong shape"),
    Case("call with an infinite number", (Raw(CALL % b"1e999"), Final()), K.BROKEN_STREAM, True, "wrong shape"),
    Case("call with NaN", (Raw(CALL % b"NaN"), Final()), K.BROKEN_STREAM, True, "not JSON"),
    Case("call of deep nesting", (Raw(CALL % (b"[" * 80 + b"]" * 80)), Final()), K.BROKEN_STREAM, True, "wrong shape"),
    Case("call of very deep nesting", (Raw(CALL % (b"[" * 900 + b"]" * 900)), Final()), K.BROKEN_STREAM, True, ""),
    Case("no message", (Raw(b'{"status": "pulling"}\n'), Final()), K.BROKEN_STREAM, True, "wrong shape"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_misbehaving_server(case: Case) -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, backoff=QUICK)
        await core.start()
        fake.scripts.append(case.script)
        text, fault = await run(core)
        assert isinstance(fault, Fault), fault
        assert (fault.kind, fault.retryable) == (case.kind, case.retryable)
        assert case.words in fault.reason
        assert "\n" not in fault.reason
        assert "\x1b" not in fault.reason
        assert text == case.text
        assert isinstance((await run(core, attempt(2)))[1], Done)  # and the core goes on
        await core.stop(drain_s=0)
        assert len(fake.chats()) == 2


@pytest.mark.parametrize("status", [400, 403, 500, 503])
async def test_the_servers_own_words_come_first_since_a_line_may_be_cut(status: int) -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, backoff=QUICK)
        await core.start()
        fake.scripts.append(Status(status, "model requires more of it"))
        _, outcome = await run(core)
        assert isinstance(outcome, Fault | Rejected)
        words, _, where = outcome.reason.partition(" (")
        assert words == "model requires more of it"
        assert f"Ollama at {fake.host}, HTTP {status})" in where
        await core.stop(drain_s=0)


def test_a_list_without_end_is_not_compared_to_its_end() -> None:
    names = [f"m{number}" for number in range(1_000)]
    assert nearest_model("llama3.2", [*names, "llama3.1"]) is None
    assert nearest_model("llama3.2", [*names[1:], "llama3.1"]) == "llama3.1"


async def test_a_reset_in_mid_answer() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, backoff=QUICK)
        await core.start()
        arrived = Wait()
        fake.scripts.append((Say("one"), arrived, Break(reset=True)))
        items = core.run(attempt(), core.slots()[0])
        assert await anext(items) == Chunk("text", "one")
        arrived.event.set()
        fault = await anext(items)
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.BROKEN_STREAM, True)
        assert "broke in mid-answer" in fault.reason
        await core.stop(drain_s=0)


async def test_a_reset_before_any_answer() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, default_model=MODEL, backoff=QUICK)
        await core.start()
        fake.scripts.append((Break(reset=True),))
        _, fault = await run(core)
        assert isinstance(fault, Fault)
        assert fault.kind in (FaultKind.UNREACHABLE, FaultKind.BROKEN_STREAM)
        assert fault.retryable
        await core.stop(drain_s=0)


async def test_a_line_without_end_is_not_read_to_its_end() -> None:
    pieces = 400
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, line_cap=100_000)
        await core.start()
        fake.scripts.append((Say("one"), *(Raw(b"x" * 65_536) for _ in range(pieces)), Final()))
        text, fault = await run(core)
        assert isinstance(fault, Fault)
        assert (text, fault.kind) == ("one", FaultKind.BROKEN_STREAM)
        assert "longer than 100000 bytes" in fault.reason
        await fake.until(lambda server: server.disconnects == 1)
        await core.stop(drain_s=0)


async def test_a_dripping_line_is_put_together() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host)
        await core.start()
        drops = tuple(Raw(RECORD[i : i + 1]) for i in range(len(RECORD)))
        fake.scripts.append((*drops, Raw(b"\n \n"), Raw(RECORD + RECORD), Final()))
        text, done = await run(core)
        assert isinstance(done, Done)
        assert text == "oneoneone"
        await core.stop(drain_s=0)


async def test_silence_ends_too() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, read_s=0.05)
        await core.start()
        fake.scripts.append((Say("one"), Say(" two"), Wait()))
        items = [item async for item in core.run(attempt(), core.slots()[0])]
        assert [item.text for item in items if isinstance(item, Chunk)] == ["one", " two"]
        fault = items[-1]
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.retryable) == (FaultKind.GAP_TIMEOUT, True)
        await core.stop(drain_s=0)


async def test_a_compressed_answer_is_refused_unread() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host)
        await core.start()
        fake.overrides["/api/tags"] = Status(200, b"\x1f\x8b", (("Content-Encoding", "gzip"),))
        info = await core.inspect()
        assert not info.healthy
        assert "compressed" in info.detail
        await core.stop(drain_s=0)


@pytest.mark.parametrize(
    "script", [Status(200, b"[]"), Status(200, b'{"models": 5}'), Status(200, HTML), Status(500, "no"), (Raw(b"\xff"),)]
)
@pytest.mark.parametrize("path", ["/api/version", "/api/tags", "/api/ps"])
async def test_inspect_never_raises(path: str, script: Script) -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host)
        fake.overrides[path] = script
        info = await core.inspect()
        assert not info.healthy
        assert fake.host in info.detail
        assert "\n" not in info.detail
        await core.stop(drain_s=0)


async def test_a_name_that_does_not_resolve() -> None:
    core = OllamaCore("no-such-host.invalid")
    info = await core.inspect()
    await core.stop(drain_s=0)
    assert not info.healthy
    assert "no-such-host.invalid:11434 cannot be reached" in info.detail


async def test_a_resolver_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = threading.Event(), threading.Event()

    def stuck(*_args: object, **_more: object) -> list[object]:
        asked.set()
        answer.wait(PATIENCE_S)
        raise socket.gaierror(socket.EAI_AGAIN, "gave up")

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    core = OllamaCore("gpu-box", connect_s=0.05)
    try:
        with pytest.raises(CoreError, match=r"gpu-box:11434 cannot be reached \(no answer in time\)"):
            await core.start()
        assert asked.is_set()
        await asyncio.get_running_loop().shutdown_default_executor()  # what the end of a program waits for
        assert not answer.is_set()
    finally:
        answer.set()


async def test_a_name_that_resolves_is_used() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(f"localhost:{fake.port}")
        await core.start()
        assert isinstance((await run(core))[1], Done)
        await core.stop(drain_s=0)


@pytest.mark.parametrize(
    ("given", "url", "label"),
    [
        (None, "http://127.0.0.1:11434", "127.0.0.1:11434"),
        ("", "http://127.0.0.1:11434", "127.0.0.1:11434"),
        (" '10.0.0.7' ", "http://10.0.0.7:11434", "10.0.0.7:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434", "127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://0.0.0.0:8080/", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("gpu-box", "http://gpu-box:11434", "gpu-box:11434"),
        ("gpu-box:8080/", "http://gpu-box:8080", "gpu-box:8080"),
        ("http://gpu-box", "http://gpu-box:80", "gpu-box:80"),
        ("HTTPS://gpu-box/ollama/", "https://gpu-box:443/ollama", "https://gpu-box:443/ollama"),
        ("https://gpu-box:8443", "https://gpu-box:8443", "https://gpu-box:8443"),
        ("::1", "http://[::1]:11434", "[::1]:11434"),
        ("[::1]", "http://[::1]:11434", "[::1]:11434"),
        ("[::]:8080", "http://[::1]:8080", "[::1]:8080"),
        ("http://[fe80:0::1]:8080", "http://[fe80::1]:8080", "[fe80::1]:8080"),
    ],
)
def test_addresses(given: str | None, url: str, label: str) -> None:
    address = parse_address(given)
    assert (address.url, address.label) == (url, label)


@pytest.mark.parametrize(
    "given", ["ftp://box", "box:port", "box:99999", "box:0", "http://box?x=1", "a b", "[::1", "http://u:secret@box"]
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(given)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_the_client_talks_to_the_address_it_was_given() -> None:
    async with FakeOllama(MODEL) as fake:
        for form in (fake.host, f"http://{fake.host}/", f"0.0.0.0:{fake.port}", f":{fake.port}"):
            core = OllamaCore(form)
            await core.start()
            assert isinstance((await run(core))[1], Done)
            await core.stop(drain_s=0)


class TestLines:
    async def lines(self, *pieces: bytes, cap: int = 100) -> list[bytes]:
        async def source() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return [line async for line in split_lines(source(), cap)]

    async def test_pieces_and_lines_are_independent(self) -> None:
        whole = b'{"a":1}\n{"b":2}\r\n\n{"c":3}'
        for cut in range(len(whole)):
            lines = await self.lines(whole[:cut], whole[cut:])
            assert [clean_record(line) for line in lines] == [b'{"a": 1}\n', b'{"b": 2}\n', b'{"c": 3}\n']

    async def test_the_cap_is_exact(self) -> None:
        assert await self.lines(b"x" * 100 + b"\n") == [b"x" * 100]
        with pytest.raises(WireError, match="longer than 100 bytes"):
            await self.lines(b"x" * 101 + b"\n")
        with pytest.raises(WireError, match="longer than 100 bytes"):
            await self.lines(b"x" * 60, b"x" * 60)
