"""The Ollama core on the very bytes that a real server sent, and its line reader on any bytes at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cores.http import WireError
from engine.cores.ollama.core import OllamaCore
from engine.cores.ollama.wire import clean_record, split_lines
from engine.cores.port import Done, Fault, FaultKind
from engine.sanitise import one_line
from tests.engine.cores.helpers import Raw, Status
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.test_core import run

WIRE = Path(__file__).parent / "wire"


def frame(name: str) -> bytes:
    return (WIRE / f"{name}.body").read_bytes()


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOllama]:
    async with FakeOllama("think:135m", "smollm2:135m") as server:
        server.overrides |= {f"/api/{name}": Status(200, frame(name)) for name in ("version", "tags", "ps")}
        yield server


@pytest_asyncio.fixture
async def core(fake: FakeOllama) -> AsyncIterator[OllamaCore]:
    core = OllamaCore(fake.host)
    await core.start()
    yield core
    await core.stop(drain_s=0)


async def test_a_real_stream(fake: FakeOllama, core: OllamaCore) -> None:
    fake.scripts.append((Raw(frame("chat_stream")),))
    text, done = await run(core)
    assert text == "Here are three unique colors:\n\n"
    assert isinstance(done, Done)
    assert (done.model, done.reason) == ("smollm2:135m", "length")
    usage = done.usage
    assert (usage.tokens_in, usage.tokens_out) == (13, 8)
    assert (usage.load_s, usage.prefill_s, usage.decode_s) == (0.002838341, 0.121783, 0.117981)


async def test_a_real_error_in_the_stream(fake: FakeOllama, core: OllamaCore) -> None:
    fake.scripts.append((Raw(frame("err_midstream")),))
    text, fault = await run(core)
    assert text.startswith("There once was a king who had a beautiful palace.")
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.retryable) == (FaultKind.SERVER, True)
    assert "an error was encountered while running the model: unexpected EOF" in fault.reason


async def test_real_lists(core: OllamaCore) -> None:
    info = await core.inspect()
    assert (info.healthy, info.version, info.detail) == (True, "0.0.0", "")
    assert info.default_model == "smollm2:135m"  # the loaded one, though it is not the first
    thinking, loaded = info.models
    assert (thinking.name, thinking.loaded, thinking.detail) == ("think:135m", False, "134.52M Q4_1 thinking")
    assert (loaded.name, loaded.size_vram, loaded.context_length) == ("smollm2:135m", 98_362_432, 2048)


# What JSON escapes, what ends a line for somebody, lone surrogates, and some ordinary characters.
texts = st.text('ab"\\\n\r\t\x00\x0b\x0c\x1c\x7f\x85\u2028\u2029\ud83d\ude00\ufeffé中🙂', max_size=8)
leaves = st.none() | st.booleans() | st.integers() | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)


def wanted(value: Any) -> Any:
    """The value as JSON carries it (a surrogate pair is one character), with lone surrogates replaced."""
    text = json.dumps(json.loads(json.dumps(value)), ensure_ascii=False)
    return json.loads("".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text))


@settings(deadline=None)
@given(st.dictionaries(texts, values, max_size=4))
def test_a_record_means_the_same_afterwards_and_is_one_line_to_the_client(record: dict[str, Any]) -> None:
    line = clean_record(json.dumps(record).encode())
    response = httpx.Response(200, content=line)
    (read,) = response.iter_lines()
    assert json.loads(read) == wanted(record)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_line_is_a_record_or_a_wire_error(line: bytes) -> None:
    try:
        record = json.loads(clean_record(line))
    except WireError as error:
        assert one_line(str(error)) == str(error).rstrip()
    else:
        assert isinstance(record, dict)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=12))
async def test_any_pieces_give_lines_within_the_cap(pieces: list[bytes]) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    lines = []
    try:
        async for line in split_lines(source(), 40):
            lines += [line]
    except WireError:
        pass
    assert all(len(line) <= 40 and b"\n" not in line for line in lines)
    assert lines == [line for line in b"".join(pieces).split(b"\n") if line.strip()][: len(lines)]
