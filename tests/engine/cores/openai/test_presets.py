"""Each preset against a stream of its provider's shape (`frames/README.md` says where those are from)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cores.openai.core import OpenAICore
from engine.cores.openai.presets import Preset, load_presets
from engine.cores.port import Attempt, Chunk, Done, Message, ToolCall
from engine.task import GenerationOptions
from tests.engine.cores.helpers import Json, Raw
from tests.engine.cores.openai.fake_server import FakeOpenAI

FRAMES = Path(__file__).with_name("frames")
KEY = "sk-preset-0123456789"
THOUGHT = "They greet me."
EVERYTHING: dict[str, Any] = {
    "max_tokens": 9, "temperature": 0.5, "seed": 3, "top_p": 0.9, "top_k": 4, "min_p": 0.1, "repeat_penalty": 1.1,
    "stop": ("END",), "think": True, "num_ctx": 4096, "keep_alive": "5m",
    "format": {"type": "object", "properties": {}, "additionalProperties": False},
}  # fmt: skip
STRICT: Json = {
    "type": "json_schema",
    "json_schema": {"name": "reply", "schema": EVERYTHING["format"], "strict": True},
}
USUAL: Json = {"max_tokens": 9, "temperature": 0.5, "seed": 3, "top_p": 0.9, "stop": ["END"], "response_format": STRICT}
NEWER: Json = {**{k: v for k, v in USUAL.items() if k != "max_tokens"}, "max_completion_tokens": 9}


def less(body: Json, *names: str) -> Json:
    return {name: value for name, value in body.items() if name not in names}


@dataclass(frozen=True, slots=True)
class Case:
    """The expected reading of a provider's answer, and the request expected for `EVERYTHING`."""

    preset: str
    tokens: tuple[int, int]
    sent: Json
    thinking: str = ""
    model: str = ""
    times: tuple[float, float] | None = None
    text: str = "Good day"


PENALTY = {"top_k": 4, "min_p": 0.1, "repetition_penalty": 1.1}
TEMPLATE = {"chat_template_kwargs": {"enable_thinking": True}}
CASES = [
    Case("openai", (21, 3), NEWER | {"reasoning_effort": "medium"}, model="gpt-x-2026-01-01"),
    Case("anthropic", (21, 5), less(USUAL, "seed", "response_format"), model="claude-x-1"),
    Case("gemini", (21, 2), less(USUAL, "seed") | {"reasoning_effort": "medium"}, model="gemini-x-flash"),
    Case("groq", (21, 9), NEWER | {"reasoning_effort": "default", "reasoning_format": "parsed"}, THOUGHT,
         "openai/gpt-x-20b", (0.25, 0.5)),
    Case("deepseek", (21, 9), less(USUAL, "seed") | {"response_format": {"type": "json_object"},
         "thinking": {"type": "enabled"}}, THOUGHT, "deepseek-x"),
    Case("novita", (21, 3), USUAL | PENALTY, model="meta/x-8b"),
    Case("huggingface", (21, 3), USUAL, model="org/x-8b"),
    Case("vllm", (21, 9), USUAL | PENALTY | TEMPLATE, THOUGHT),
    Case("sglang", (21, 9), USUAL | PENALTY | TEMPLATE, THOUGHT),
    Case("llamacpp", (21, 4), USUAL | TEMPLATE |
         {"top_k": 4, "min_p": 0.1, "repeat_penalty": 1.1, "return_progress": True},
         times=(0.201012, 0.041564), text="Good day."),
    Case("lmstudio", (21, 9), USUAL | {"top_k": 4, "repeat_penalty": 1.1}, THOUGHT),
    Case("tgi", (21, 3), USUAL),
]  # fmt: skip


@asynccontextmanager
async def made(preset: Preset, frames: str, model: str) -> AsyncIterator[tuple[FakeOpenAI, OpenAICore]]:
    async with FakeOpenAI(model, key=KEY) as fake:
        fake.scripts.append((Raw((FRAMES / f"{frames}.sse").read_bytes()),))
        core = OpenAICore(name=preset.name, base_url=fake.url, key=KEY, preset=preset, default_model=model)
        await core.start()
        yield fake, core
        await core.stop(drain_s=0)


async def ask(core: OpenAICore, *messages: Message, **options: Any) -> tuple[str, str, Done]:
    """Text, thinking and outcome. The options `think` and `format` are an agent's, so no preset refuses them."""
    one = Attempt(
        1,
        1,
        1,
        messages or (Message("user", "Hi"),),
        options=GenerationOptions.model_validate(options),
        dispensable=frozenset({"think", "format"}),
    )
    *chunks, done = [item async for item in core.run(one, core.slots()[0])]
    assert isinstance(done, Done), done
    pieces = [chunk for chunk in chunks if isinstance(chunk, Chunk)]
    text, thinking = ("".join(chunk.text for chunk in pieces if chunk.kind == kind) for kind in ("text", "thinking"))
    return text, thinking, done


@pytest.mark.parametrize("case", CASES, ids=[case.preset for case in CASES])
async def test_a_preset(case: Case) -> None:
    async with made(load_presets()[case.preset], case.preset, "asked-for") as (fake, core):
        text, thinking, done = await ask(core, **EVERYTHING)
    assert (text, thinking) == (case.text, case.thinking)
    assert (done.usage.tokens_in, done.usage.tokens_out) == case.tokens
    assert done.model == (case.model or "asked-for")
    if case.times is None:
        assert 0 <= done.usage.prefill_s < 30  # as it was seen from here
    else:
        assert (done.usage.prefill_s, done.usage.decode_s) == pytest.approx(case.times)
    (request,) = fake.chats()
    assert less(request.body, "model", "messages", "stream", "stream_options") == case.sent
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_every_preset_has_a_case() -> None:
    assert [case.preset for case in CASES] == list(load_presets())


@pytest.mark.parametrize("preset", ["openai", "gemini"])
async def test_calls_of_tools(preset: str) -> None:
    async with made(load_presets()[preset], f"{preset}_tools", "asked-for") as (fake, core):
        _, _, done = await ask(core)
        assert done.reason == "tool_calls"
        assert [(call.name, call.arguments) for call in done.tool_calls] == [
            ("weather", {"city": "Oslo"}),
            ("clock", {}),
        ]
        assert len({call.id for call in done.tool_calls}) == 2
        fake.scripts.append((Raw((FRAMES / f"{preset}.sse").read_bytes()),))
        answers = [Message("tool", "rain", tool=call.name, call=call.id) for call in done.tool_calls]
        await ask(core, Message("user", "Hi"), Message("assistant", "", tool_calls=done.tool_calls), *answers)
    _, asked, *answered = fake.chats()[1].body["messages"]
    assert [answer["tool_call_id"] for answer in answered] == [call["id"] for call in asked["tool_calls"]]
    signatures = [call.get("extra_content") for call in asked["tool_calls"]]
    assert signatures == ([{"google": {"thought_signature": "c2ln"}}, None] if preset == "gemini" else [None, None])


async def test_a_new_conversation_with_old_calls_knows_no_signatures() -> None:
    """Another run of the program cannot know them."""
    old = (ToolCall("weather", {}, "function-call-1"),)
    async with made(load_presets()["gemini"], "gemini", "asked-for") as (fake, core):
        await ask(core, Message("user", "Hi"), Message("assistant", "", tool_calls=old), Message("tool", "rain"))
    assert "extra_content" not in fake.chats()[0].body["messages"][1]["tool_calls"][0]


def test_the_documents_tell_of_every_preset_as_it_is() -> None:
    text = (Path(__file__).parents[4] / "docs" / "cores.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `") and "http" in line}
    for preset in load_presets().values():
        key = f"`{preset.key_env}`" + ("" if preset.hosted else ", if it asks for one")
        expected = f"| `{preset.name}` | {preset.title} | `{preset.base_url}` | {key} | {preset.slots} |"
        assert rows[preset.name] == expected
