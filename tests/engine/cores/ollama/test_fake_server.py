"""The fake server against the frames of a real one: same status lines, headers, framing, and shapes of every record.

What is expected is read from the files in `wire/`, so a fake that drifts from them fails here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.engine.cores.helpers import Final, MidstreamError, Say, Script, say
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FakeModel
from tests.waiting import PATIENCE_S

WIRE = Path(__file__).parent / "wire"
MODEL, THINKER = "smollm2:135m", "think:135m"
OPEN_MAPS = {"model_info"}
"""Objects whose keys depend on the model, not on the protocol."""
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
HELLO = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it came: head, and body with its framing taken off. `chunks`: the pieces of a chunked one."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunks: tuple[bytes, ...] = ()

    @property
    def chunked(self) -> bool:
        return ("Transfer-Encoding", "chunked") in self.headers

    def skeleton(self) -> tuple[tuple[str, str], ...]:
        """The headers in order, with the values that are the protocol's and not the moment's."""
        varying = ("Date", "Content-Length")
        return tuple((name, "" if name in varying else value) for name, value in self.headers)


def head_of(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    status, *lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    return status, tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))


def real(name: str) -> Answer:
    status, headers = head_of((WIRE / f"{name}.headers").read_text())
    return Answer(status, headers, (WIRE / f"{name}.body").read_bytes())


async def ask(fake: FakeOllama, method: str, path: str, body: object = None) -> Answer:
    """One request over a bare socket."""
    data = b"" if body is None else json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    async with asyncio.timeout(PATIENCE_S):
        status, headers = head_of((await reader.readuntil(b"\r\n\r\n")).decode())
        named = dict(headers)
        if "Content-Length" in named:
            answer = Answer(status, headers, await reader.readexactly(int(named["Content-Length"])))
        else:
            chunks = [chunk async for chunk in _chunks(reader)]
            answer = Answer(status, headers, b"".join(chunks), tuple(chunks))
    writer.close()
    await writer.wait_closed()
    return answer


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"


def shape(value: Any, key: str = "") -> Any:
    """The structure of a JSON value: keys in order and types; of a list the distinct shapes of its elements."""
    if key in OPEN_MAPS:
        return "open map"
    if isinstance(value, dict):
        return tuple((name, shape(inner, name)) for name, inner in value.items())
    if isinstance(value, list):
        return "list", frozenset(shape(inner) for inner in value)
    return type(value).__name__


def shapes(body: bytes) -> list[Any]:
    """The shape of every line, equal neighbours listed once."""
    found: list[Any] = []
    for line in body.splitlines():
        one = shape(json.loads(line))
        if not found or found[-1] != one:
            found.append(one)
    return found


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOllama]:
    thinker = FakeModel(THINKER, capabilities=("completion", "thinking"))
    async with FakeOllama(thinker, MODEL, loaded=[MODEL], version="0.0.0") as server:
        yield server


def chat(model: str = MODEL, **more: object) -> dict[str, object]:
    return {"model": model, "messages": HELLO, **more}


CASES: list[tuple[str, str, str, object, Script | None]] = [
    ("chat_stream", "POST", "/api/chat", chat(), say("Here", " are")),
    ("chat_nostream", "POST", "/api/chat", chat(stream=False), say("Alec")),
    ("generate_stream", "POST", "/api/generate", {"model": MODEL, "prompt": "A"}, say("A", "le")),
    ("err_midstream", "POST", "/api/chat", chat(), (Say("There"), Say(" once"), MidstreamError())),
    ("err_404", "POST", "/api/chat", chat("nope"), None),
    ("err_400_think", "POST", "/api/chat", chat(think=True), None),
    ("err_400_tools", "POST", "/api/chat", chat(tools=TOOLS), None),
    ("tags", "GET", "/api/tags", None, None),
    ("ps", "GET", "/api/ps", None, None),
    ("show", "POST", "/api/show", {"model": MODEL}, None),
    ("version", "GET", "/api/version", None, None),
]


def test_every_frame_is_compared() -> None:
    assert {case[0] for case in CASES} == {file.stem for file in WIRE.glob("*.body")}


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
async def test_a_frame(fake: FakeOllama, case: tuple[str, str, str, object, Script | None]) -> None:
    name, method, path, body, script = case
    if script is not None:
        fake.scripts.append(script)
    expected, answer = real(name), await ask(fake, method, path, body)
    assert answer.status == expected.status
    assert answer.skeleton() == expected.skeleton()
    assert shapes(answer.body) == shapes(expected.body)
    assert answer.body.endswith(b"\n") is expected.body.endswith(b"\n")
    if ("Content-Type", "application/x-ndjson") in expected.headers:  # a record is a chunk
        assert len(answer.chunks) == answer.body.count(b"\n")
        assert all(chunk.endswith(b"\n") for chunk in answer.chunks)


@pytest.mark.parametrize("name", ["err_404", "err_400_think", "err_400_tools", "version", "err_midstream"])
async def test_words_that_do_not_vary(fake: FakeOllama, name: str) -> None:
    _, method, path, body, script = next(case for case in CASES if case[0] == name)
    if script is not None:
        fake.scripts.append(script)
    answer = await ask(fake, method, path, body)
    assert answer.body.splitlines()[-1] == real(name).body.splitlines()[-1]


async def test_what_the_readme_of_the_frames_says(fake: FakeOllama) -> None:
    unknown = await ask(fake, "GET", "/api/nothing")
    assert unknown.status == "HTTP/1.1 404 Not Found"
    assert dict(unknown.headers)["Content-Type"].startswith("text/plain")
    fake.scripts.append((Say("x"), Final({"prompt_eval_count": 0, "load_duration": 0})))
    last = json.loads((await ask(fake, "POST", "/api/chat", chat())).body.splitlines()[-1])
    whole = json.loads(real("chat_stream").body.splitlines()[-1])
    assert set(whole) - set(last) == {"prompt_eval_count", "load_duration"}


async def test_it_notices_who_leaves_and_who_stays(fake: FakeOllama) -> None:
    await ask(fake, "POST", "/api/chat", chat())
    await fake.until(lambda server: server.active == 0)
    assert fake.disconnects == 0
    assert [request.path for request in fake.requests] == ["/api/chat"]
    assert fake.requests[0].body["messages"] == HELLO


def test_the_comparison_can_fail() -> None:
    body = real("chat_stream").body
    assert shapes(body) != shapes(body.replace(b'"done_reason":"length",', b""))
    assert shapes(body) != shapes(body.replace(b'"eval_count":8', b'"eval_count":"8"'))
    assert shapes(body) != shapes(body.splitlines()[0])
