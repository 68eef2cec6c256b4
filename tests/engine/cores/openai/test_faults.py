"""Every way in which an OpenAI-compatible server may fail on the wire, and what the core makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import pytest_asyncio

from engine.cores.http import BODY_CAP, StatusError, WireError
from engine.cores.openai.address import parse_base_url
from engine.cores.openai.core import OpenAICore
from engine.cores.openai.faults import DEFAULT_REST_S, LONGEST_REST_S, rest_of
from engine.cores.openai.presets import load_presets
from engine.cores.openai.sse import frames
from engine.cores.port import Attempt, Chunk, Done, Fault, FaultKind, Message, Rejected, SlotState
from engine.errors import CoreError, UsageError
from engine.task import GenerationOptions
from tests.engine.cores.helpers import (
    Break,
    Final,
    MidstreamError,
    Raw,
    Request,
    Say,
    Script,
    Status,
    Wait,
    chunk,
    head,
    silent_port,
)
from tests.engine.cores.ollama.test_core import QUICK, run, states
from tests.engine.cores.openai.fake_server import FakeOpenAI, event, refusal

K = FaultKind
MODEL = "tiny"
HTML = b"<html><body>Welcome</body></html>"


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(MODEL) as server:
        yield server


@pytest_asyncio.fixture
async def core(fake: FakeOpenAI) -> AsyncIterator[OpenAICore]:
    core = OpenAICore(name="lab", base_url=fake.url, backoff=QUICK, line_cap=100_000)
    await core.start()
    yield core
    await core.stop(drain_s=0)


def attempt(task: int = 1, *, model: str | None = None, **options: object) -> Attempt:
    messages = (Message("system", "Be brief."), Message("user", "Say hello."))
    return Attempt(task, 1, 1, messages, model, GenerationOptions.model_validate(options))


@dataclass(frozen=True, slots=True)
class Case:
    """A misbehaviour, and the fault that it must be: kind, whether to try again, words of its reason."""

    name: str
    script: Script
    kind: FaultKind
    retryable: bool
    words: str
    text: str = ""


ONE = event({"choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": None}]})
BAD_CALL = event({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}}]})
BAD_ARGUMENTS = [
    ("an infinite number", '{"x": 1e999}'), ("NaN", '{"x": [NaN]}'), ("deep nesting", f'{{"x": {"[" * 80}{"]" * 80}}}'),
    ("very deep nesting", f'{{"x": {"[" * 900}{"]" * 900}}}'),
]  # fmt: skip


def _call(arguments: str) -> bytes:
    call = {"index": 0, "function": {"name": "f", "arguments": arguments}}
    return event({"choices": [{"delta": {"tool_calls": [call]}}]})


def _call_object(arguments: str) -> bytes:
    return _call("HERE").replace(b'"HERE"', arguments.encode())


CASES = [
    Case("loading", refusal(503, "Loading model", code=503), K.BUSY, True, "is busy (HTTP 503): Loading model"),
    Case("overloaded", refusal(529, "Overloaded"), K.BUSY, True, "HTTP 529"),
    Case("bad request", refusal(400, "unsupported value: seed"), K.BAD_REQUEST, False, "HTTP 400): unsupported value"),
    Case("old vLLM", Status(400, b'{"object":"error","message":"max_tokens is too large","code":400}'), K.BAD_REQUEST,
         False, "max_tokens is too large"),
    Case("FastAPI", Status(422, b'{"detail":"field required"}'), K.BAD_REQUEST, False, "): field required"),
    Case("too long", refusal(400, "This model's maximum context length is 10 tokens", code="context_length_exceeded"),
         K.BAD_REQUEST, False, "maximum context length"),
    Case("too large", refusal(429, "Request too large for this organization"), K.BAD_REQUEST, False, "too large"),
    Case("server error", refusal(500, "CUDA error: device-side assert"), K.SERVER, True, "CUDA error"),
    Case("no memory", refusal(500, "CUDA out of memory. Tried to get 2 GiB"), K.NO_MEMORY, False, "little memory"),
    Case("gateway", Status(502, HTML), K.SERVER, True, "HTTP 502"),
    Case("no key", refusal(401, "missing key"), K.REFUSED, False, "refuses the key; name one with key_env"),
    Case("Gemini's bad key", Status(400, b'[{"error":{"code":400,"message":"API key not valid. Please pass one."}}]'),
         K.REFUSED, False, "refuses the key"),
    Case("LiteLLM's bad key", refusal(400, "No connected db.", type="no_db_connection", code="400"), K.REFUSED, False,
         "refuses the key"),
    Case("forbidden", refusal(403, "project has no access"), K.REFUSED, False, "another key may"),
    Case("no credit", refusal(429, "You exceeded your current quota", code="insufficient_quota"), K.REFUSED, False,
         "no credit"),
    Case("no balance", refusal(402, "Insufficient Balance"), K.REFUSED, False, "no credit"),
    Case("redirect", Status(302, "", (("Location", "http://127.0.0.1:9/elsewhere"),)), K.SERVER, False,
         "redirects to http://127.0.0.1:9/elsewhere"),
    Case("foreign 404", Status(404, HTML), K.SERVER, False, "does not speak OpenAI's protocol there (HTTP 404)"),
    Case("wrong path", Status(404, b'{"detail":"Not Found"}'), K.SERVER, False, "often ends in /v1"),
    Case("LM Studio's wrong path", Status(200, b'{"error":"Unexpected endpoint or method. (POST /chat)"}'), K.SERVER,
         False, "protocol there (Unexpected endpoint"),
    Case("a web page", Status(200, HTML), K.SERVER, False, "a web page"),
    Case("missing model", refusal(404, "The model `tiny` does not exist.", code="model_not_found"), K.NO_MODEL, False,
         "it has: tiny"),
    Case("error of many lines", refusal(500, "first\nsecond\x1b[2J"), K.SERVER, True, "first second\ufffd[2J"),
    Case("odd error body", Status(500, b"[1, 2]"), K.SERVER, True, "[1, 2]"),
    Case("error in the stream", (Say("one"), MidstreamError({"message": "engine died", "code": 500})), K.SERVER, True,
         "stopped: engine died", "one"),
    Case("text as error in the stream", (MidstreamError("no\nluck"),), K.SERVER, True, "stopped: no luck"),
    Case("a status in the stream", (MidstreamError({"message": "slow down", "code": "429"}),), K.BUSY, True, "is busy"),
    Case("busy in the stream", (Say("one"), MidstreamError({"message": "x", "type": "overloaded_error"})), K.BUSY, True,
         "is busy: x", "one"),
    Case("gives up", (Say("one"), Final(reason="insufficient_system_resource")), K.SERVER, True, "gave up", "one"),
    Case("closed in the middle", (Say("one"), Break()), K.BROKEN_STREAM, True, "broke in mid-answer", "one"),
    Case("clean end", (Say("one"),), K.BROKEN_STREAM, True, "without saying why it stopped", "one"),
    Case("nothing at all", (), K.BROKEN_STREAM, True, "without saying why it stopped"),
    Case("done without an answer", (Raw(event(b"[DONE]")),), K.BROKEN_STREAM, True, "without saying why"),
    Case("end inside a line", (Say("one"), Raw(ONE[:40])), K.BROKEN_STREAM, True, "in the middle of a line", "one"),
    Case("not JSON", (Say("one"), Raw(event(b"oops")), Final()), K.BROKEN_STREAM, True, "not JSON: oops", "one"),
    Case("not UTF-8", (Raw(ONE.replace(b"one", b"\xff\xfe")), Final()), K.BROKEN_STREAM, True, "not valid UTF-8"),
    Case("not an object", (Raw(event(b"[1]")), Final()), K.BROKEN_STREAM, True, "not a JSON object: [1]"),
    Case("nested too deep", (Raw(event(b"[" * 90_000)), Final()), K.BROKEN_STREAM, True, "not JSON"),
    Case("wrong shape", (Raw(event({"choices": 5})), Final()), K.BROKEN_STREAM, True, "wrong shape at 'choices'"),
    Case("wrong usage", (Raw(event({"choices": [], "usage": {"prompt_tokens": -1}})),), K.BROKEN_STREAM, True,
         "wrong shape at 'usage.prompt_tokens'"),
    *(Case(f"a call with {name}", (Raw(_call(text)), Final(reason="tool_calls")), K.BROKEN_STREAM, True, "'f' are not")
      for name, text in BAD_ARGUMENTS),
    *(Case(f"a call with {name} in an object", (Raw(_call_object(text)), Final(reason="tool_calls")), K.BROKEN_STREAM,
           True, "can't be used") for name, text in BAD_ARGUMENTS),
    Case("half a pair in deep nesting", (Raw(event(b'{"a":"\\ud83d","b":' + b"[" * 900 + b"]" * 900 + b"}")), Final()),
         K.BROKEN_STREAM, True, ""),
    Case("bad call", (Raw(BAD_CALL), Final(reason="tool_calls")), K.BROKEN_STREAM, True, "'f' are not a JSON object"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_misbehaving_server(fake: FakeOpenAI, core: OpenAICore, case: Case) -> None:
    fake.scripts.append(case.script)
    text, fault = await run(core, attempt())
    assert isinstance(fault, Fault), fault
    assert (fault.kind, fault.retryable) == (case.kind, case.retryable), fault.reason
    assert case.words in fault.reason
    assert "\n" not in fault.reason
    assert "\x1b" not in fault.reason
    assert text == case.text
    assert isinstance((await run(core, attempt(2)))[1], Done)  # and the core goes on
    assert len(fake.chats()) == 2


async def test_a_reset_in_mid_answer(fake: FakeOpenAI, core: OpenAICore) -> None:
    arrived = Wait()
    fake.scripts.append((Say("one"), arrived, Break(reset=True)))
    items = core.run(attempt(), core.slots()[0])
    assert await anext(items) == Chunk("text", "one")
    arrived.event.set()
    fault = await anext(items)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.retryable) == (K.BROKEN_STREAM, True)


@pytest.mark.parametrize("newlines", [b"", b"\ndata: "])
async def test_a_line_or_event_without_end_is_not_read_to_its_end(
    fake: FakeOpenAI, core: OpenAICore, newlines: bytes
) -> None:
    flood = tuple(Raw(b"x" * 65_536 + newlines) for _ in range(400))
    fake.scripts.append((Say("one"), Raw(b"data: "), *flood, Final()))
    text, fault = await run(core, attempt())
    assert isinstance(fault, Fault)
    assert (text, fault.kind) == ("one", K.BROKEN_STREAM)
    assert "is longer than" in fault.reason
    await fake.until(lambda server: server.disconnects == 1)


async def test_what_goes_back_with_calls_is_bounded_in_all(fake: FakeOpenAI) -> None:
    core = OpenAICore(name="lab", base_url=fake.url)
    await core.start()
    for number in range(12):
        call = {"index": 0, "id": f"c{number}", "function": {"name": "f", "arguments": "{}"},
                "extra_content": {"signature": "x" * 900_000}}  # fmt: skip
        fake.scripts.append((Raw(event({"choices": [{"delta": {"tool_calls": [call]}}]})), Final(reason="tool_calls")))
        assert isinstance((await run(core, attempt(number)))[1], Done)
    kept = core._chat._extras
    await core.stop(drain_s=0)
    assert list(kept) == [f"c{number}" for number in range(3, 12)]  # the newest, up to 8 MiB


class _Endless(FakeOpenAI):
    """Answers with one JSON text without end; `sent` counts its pieces of a megabyte."""

    sent = 0

    async def _generate(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await head(writer, 200, "application/JSON; charset=utf-8")
        while self.sent < 64:
            await chunk(writer, b"a" * (1 << 20))
            self.sent += 1


async def test_a_whole_answer_without_end_is_not_read_to_its_end() -> None:
    fake = _Endless(MODEL)
    async with fake:
        core = OpenAICore(name="lab", base_url=fake.url)
        await core.start()
        _, fault = await run(core, attempt())
        assert isinstance(fault, Fault)
        assert f"larger than {BODY_CAP} bytes" in fault.reason
        await core.stop(drain_s=0)
        assert fake.sent < 64


async def test_a_dripping_stream_is_put_together(fake: FakeOpenAI, core: OpenAICore) -> None:
    drops = tuple(Raw(ONE[i : i + 1]) for i in range(len(ONE)))
    odd = b": a comment\r\n\r\nevent: x\nid: 4\nretry: 9\n\n" + ONE.replace(b"\n", b"\r\n")
    fake.scripts.append((Raw(b"\xef\xbb\xbf"), *drops, Raw(odd), Final()))
    text, done = await run(core, attempt())
    assert isinstance(done, Done), done
    assert text == "oneone"


async def test_silence_ends_too(fake: FakeOpenAI) -> None:
    core = OpenAICore(name="lab", base_url=fake.url, read_s=0.05)
    await core.start()
    fake.scripts.append((Say("one"), Wait()))
    text, fault = await run(core, attempt())
    assert isinstance(fault, Fault)
    assert (text, fault.kind, fault.retryable) == ("one", K.GAP_TIMEOUT, True)
    await core.stop(drain_s=0)


async def test_a_server_that_never_answers_is_named_at_the_start() -> None:
    async with silent_port() as where:
        core = OpenAICore(name="lab", base_url=where, look_s=0.05)
        with pytest.raises(CoreError, match=f"{where} did not answer in time"):
            await core.start()


async def test_nobody_there_is_named_at_the_start(fake: FakeOpenAI) -> None:
    await fake.stop()
    core = OpenAICore(name="lab", base_url=fake.url, preset=load_presets()["vllm"])
    with pytest.raises(CoreError, match=r"vLLM at 127.0.0.1:\d+/v1 cannot be reached \(connection refused\)"):
        await core.start()


@pytest.mark.parametrize(
    "answer", [Status(200, HTML), Status(200, b'{"data": 5}'), Status(200, b"[]"), Status(404, HTML)]
)
async def test_what_is_no_such_server_is_told(fake: FakeOpenAI, answer: Status) -> None:
    fake.overrides["/v1/models"] = answer
    core = OpenAICore(name="lab", base_url=fake.url)
    info = await core.inspect()
    await core.stop(drain_s=0)
    assert not info.healthy
    assert "does not speak OpenAI's protocol" in info.detail
    assert "\n" not in info.detail


# Being asked to wait


async def test_429_is_no_failure_and_the_core_rests(fake: FakeOpenAI, core: OpenAICore) -> None:
    fake.scripts.append(refusal(429, "Rate limit reached", ("Retry-After", "0.01")))
    watching = asyncio.create_task(states(core, "suspect", "up"))
    await asyncio.sleep(0)
    _, outcome = await run(core, attempt())
    assert isinstance(outcome, Rejected)
    assert "is busy (HTTP 429): Rate limit reached" in outcome.reason
    suspect, _ = await watching
    assert suspect.reason == outcome.reason
    assert {slot.state for slot in core.slots()} == {SlotState.UP}


async def test_an_answer_to_another_does_not_end_a_rest(fake: FakeOpenAI, core: OpenAICore) -> None:
    fake.scripts.append(refusal(429, "Rate limit reached", ("Retry-After", "3600")))
    assert isinstance((await run(core, attempt()))[1], Rejected)
    assert isinstance((await run(core, attempt(2)))[1], Done)
    await core.inspect()
    assert {slot.state for slot in core.slots()} == {SlotState.SUSPECT}


def test_how_long_a_rest_is() -> None:
    def asked(said: str) -> float:
        return rest_of(StatusError(429, "busy", ours=True, retry_after=said))

    assert [asked(said) for said in ("7", "0.5", "-3", "86400")] == [7.0, 0.5, 0.0, LONGEST_REST_S]
    assert [asked(said) for said in ("", "soon", "nan")] == [DEFAULT_REST_S] * 3
    assert asked("inf") == LONGEST_REST_S
    in_half_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 20 < asked(in_half_a_minute) <= 30
    assert asked("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


# Addresses


@pytest.mark.parametrize(
    ("given", "url", "label", "private"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1", "127.0.0.1:8000", True),
        ("http://gpu-box:8000/", "http://gpu-box:8000/v1", "gpu-box:8000", False),
        ("HTTPS://example.com/openai/v1/", "https://example.com/openai/v1", "https://example.com/openai/v1", True),
        ("http://0.0.0.0:8000/v1", "http://127.0.0.1:8000/v1", "127.0.0.1:8000/v1", True),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "[::1]:8000/v1", True),
        ("localhost:1234", "http://localhost:1234/v1", "localhost:1234", True),
    ],
)  # fmt: skip
def test_addresses(given: str, url: str, label: str, private: bool) -> None:
    address = parse_base_url(given)
    assert (address.url, address.label, address.private) == (url, label, private)


@pytest.mark.parametrize(
    "given", ["", "ftp://box", "http://", "box:port", "box:0", "a b", "[::1", "http://u:secret@box", "http://box/?key=secret"]
)  # fmt: skip
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_base_url(given)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


class TestFrames:
    async def read(self, *pieces: bytes, cap: int = 100) -> list[str]:
        async def source() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return [data async for data in frames(source(), cap, 150)]

    async def test_pieces_and_events_are_independent(self) -> None:
        whole = b"\xef\xbb\xbfdata: a\r\ndata: b\r\n\r\n: c\n\ndata:d\n\nevent: e\n\ndata: \xc3\xa9\n"
        for cut in range(len(whole)):
            assert await self.read(whole[:cut], whole[cut:]) == ["a\nb", "d", "é"]

    async def test_the_caps_hold(self) -> None:
        assert await self.read(b"data: " + b"x" * 94 + b"\n\n") == ["x" * 94]
        with pytest.raises(WireError, match="a line is longer than 100 bytes"):
            await self.read(b"data: " + b"x" * 95 + b"\n\n")
        with pytest.raises(WireError, match="an event is longer than 150"):
            await self.read((b"data: " + b"x" * 90 + b"\n") * 2)

    async def test_lines_without_text_count_too(self) -> None:
        with pytest.raises(WireError, match="an event is longer than 150"):
            await self.read(*[b"data:\n"] * 200)
