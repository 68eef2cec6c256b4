"""Whatever a server streams, it is an answer or a fault of the server's, and never a mistake of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cores.api_keys import redact
from engine.cores.http import WireError
from engine.cores.openai.presets import Quirks
from engine.cores.openai.records import MidstreamError, StreamedAnswer, read_record
from engine.cores.openai.sse import frames
from engine.cores.port import Chunk, Done
from engine.sanitise import sanitise
from tests.profiles import examples

CAP = 200
NAMES = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "content",
        "reasoning",
        "refusal",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "index",
        "id",
        "text",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "timings",
        "prompt_ms",
        "model",
        "x_groq",
        "prompt_progress",
        "total",
        "processed",
        "extra_content",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["stop", "{}"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=6
)
CALL = st.fixed_dictionaries(
    {},
    optional={
        "index": st.none() | st.integers(-3, 5),
        "id": st.none() | st.sampled_from(["", "a", "b"]),
        "function": st.fixed_dictionaries(
            {},
            optional={"name": st.none() | st.text(max_size=3), "arguments": st.none() | st.text(max_size=5) | VALUES},
        ),
        "extra_content": VALUES,
    },
)
DELTA = st.fixed_dictionaries(
    {}, optional={"content": st.none() | st.text(), "reasoning": st.text(), "tool_calls": st.lists(CALL, max_size=3)}
)
CHOICE = st.fixed_dictionaries(
    {"delta": DELTA}, optional={"index": st.integers(0, 1), "finish_reason": st.sampled_from([None, "stop", "length"])}
)
RECORD = st.fixed_dictionaries({"choices": st.lists(CHOICE, max_size=2)}, optional={"usage": VALUES, "timings": VALUES})


async def _read(pieces: list[bytes]) -> list[str]:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [data async for data in frames(source(), CAP, CAP)]


@given(st.lists(st.binary(max_size=300) | st.sampled_from([b"data: x\n\n", b"\n", b"data:", b"\r\n", b": c\n"])))
def test_any_bytes_are_events_or_a_wire_error(pieces: list[bytes]) -> None:
    try:
        events = asyncio.run(_read(pieces))
    except WireError as error:
        assert "\n" not in str(error)
    else:
        assert all(len(event) <= 2 * CAP for event in events)


@settings(max_examples=examples(150))
@given(st.lists(RECORD | st.dictionaries(NAMES, VALUES, max_size=4) | VALUES, max_size=4))
def test_any_records_are_an_answer_or_a_fault(stream: list[Any]) -> None:
    answer, chunks = StreamedAnswer(Quirks(), 0.0), list[Chunk]()
    try:
        for moment, record in enumerate(stream):
            chunks += answer.add(read_record(json.dumps(record)), float(moment))
        done = answer.done("model")
    except (WireError, MidstreamError) as error:
        assert "\n" not in str(error)
        return
    assert isinstance(done, Done)
    assert all(chunk.text == sanitise(chunk.text) for chunk in chunks)
    assert all(0 <= chunk.done <= chunk.total for chunk in chunks if chunk.kind == "progress")
    assert done.usage.tokens_in >= 0
    assert done.usage.prefill_s >= 0
    assert done.usage.decode_s >= 0
    assert answer.finished or not answer.reason
    for call in done.tool_calls:
        assert call.name
        json.dumps(dict(call.arguments), allow_nan=True)


@given(st.text(alphabet="abcdef", min_size=8, max_size=20), st.lists(st.text(alphabet="abcdef .", max_size=12)))
def test_nothing_of_a_key_is_left(key: str, around: list[str]) -> None:
    said = redact(key.join(["", *around, ""]), key)
    assert not any(key[i : i + 8] in said for i in range(len(key) - 7))
