"""The OpenAI-compatible core against llama.cpp's own server in a process of its own: the suite of every core; keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import httpx
import pytest
import pytest_asyncio

from engine.cores.openai.core import OpenAICore
from engine.cores.openai.presets import load_presets
from engine.cores.port import Attempt, Core, Done, Fault, FaultKind, Message
from engine.errors import CoreError
from engine.task import GenerationOptions
from engine.testing.conformance import PATIENCE_S, CoreConformance, run_to_end
from tests.engine.cores.openai.llama_server import MODEL, llama_server

pytestmark = [
    pytest.mark.embedded,
]
KEY = "sk-test-4f1c9b7e2a"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with llama_server(KEY) as base_url:
        yield base_url


class TestConformance(CoreConformance):
    base_url: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    def _server(self, url: str) -> None:
        type(self).base_url = url

    def make_core(self) -> Core:
        return OpenAICore(name="llama", base_url=self.base_url, key=KEY, slots=2)

    async def at_rest(self, core: Core) -> None:
        """The server itself counts what it is at."""
        root = self.base_url.removesuffix("/v1")
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as client:
            while True:
                answer = await client.get(f"{root}/metrics", headers={"Authorization": f"Bearer {KEY}"})
                if "llamacpp:requests_processing 0\n" in answer.text:
                    return
                await asyncio.sleep(0.02)


def asking(prompt: str, **options: object) -> Attempt:
    settings = GenerationOptions.model_validate({"max_tokens": 8, **options})
    return Attempt(1, 1, 1, (Message("user", prompt),), options=settings)


@pytest_asyncio.fixture
async def core(url: str) -> AsyncIterator[OpenAICore]:
    core = OpenAICore(name="llamacpp", base_url=url, key=KEY, preset=load_presets()["llamacpp"])
    await core.start()
    yield core
    await core.stop(drain_s=0)


async def test_what_the_server_tells_of_itself(core: OpenAICore, url: str) -> None:
    info = await core.inspect()
    assert (info.kind, info.slots_from, info.where) == ("openai", "configured", url.removeprefix("http://"))
    (model,) = info.models
    assert (model.name, model.loaded, model.context_length) == (MODEL, True, 2048)
    assert model.size is not None
    assert model.size > 90_000_000


async def test_times_are_the_servers_own(core: OpenAICore) -> None:
    done = (await run_to_end(core, asking("Count to ten.", max_tokens=2, temperature=0), core.slots()[0])).items[-1]
    assert isinstance(done, Done)
    assert 0 < done.usage.prefill_s < PATIENCE_S
    assert 0 < done.usage.decode_s < PATIENCE_S
    assert (done.usage.tokens_out, done.reason) == (2, "length")


async def test_reading_the_prompt_shows_its_progress(core: OpenAICore) -> None:
    run = await run_to_end(core, asking("one two three four " * 60), core.slots()[0])
    done = run.items[-1]
    assert isinstance(done, Done)
    steps = [chunk for chunk in run.chunks if chunk.kind == "progress"]
    assert {step.total for step in steps} == {done.usage.tokens_in}
    assert len(steps) > 2
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == done.usage.tokens_in
    assert [chunk.kind for chunk in run.chunks[: len(steps)]] == ["progress"] * len(steps)


async def test_a_seed_and_a_temperature_of_none_repeat_themselves(core: OpenAICore) -> None:
    slot = core.slots()[0]
    first, second = [await run_to_end(core, asking("Tell a joke.", seed=3, temperature=0), slot) for _ in range(2)]
    assert first.text == second.text


async def test_a_schema_is_met(core: OpenAICore) -> None:
    schema = {
        "type": "object",
        "properties": {"ready": {"type": "boolean"}},
        "required": ["ready"],
        "additionalProperties": False,
    }
    run = await run_to_end(core, asking("Are you ready?", format=schema, max_tokens=60), core.slots()[0])
    assert isinstance(run.items[-1], Done)
    assert GenerationOptions.model_validate_json(f'{{"format": {run.text}}}').format in (
        {"ready": True},
        {"ready": False},
    )


async def test_a_raw_prompt_is_continued(core: OpenAICore) -> None:
    run = await run_to_end(core, asking("One, two, three,", endpoint="raw", temperature=0), core.slots()[0])
    assert isinstance(run.items[-1], Done)
    assert "four" in run.text


async def test_a_prompt_that_is_too_long_is_refused_in_one_line(core: OpenAICore) -> None:
    fault = (await run_to_end(core, asking("word " * 4_000), core.slots()[0])).items[-1]
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.retryable) == (FaultKind.BAD_REQUEST, False)
    assert "context" in fault.reason


@pytest.mark.parametrize("key", [None, "sk-wrong-0123456789"])
async def test_a_wrong_key_is_refused_with_the_name_of_its_variable(url: str, key: str | None) -> None:
    core = OpenAICore(name="llamacpp", base_url=url, key=key, preset=load_presets()["llamacpp"], default_model=MODEL)
    with pytest.raises(CoreError, match="refuses the key; set LLAMA_API_KEY") as caught:
        await core.start()
    assert "sk-wrong" not in str(caught.value)


async def test_a_key_that_goes_bad_is_a_refusal(url: str) -> None:
    core = OpenAICore(
        name="llamacpp", base_url=url, key="sk-wrong-0123456789", preset=load_presets()["llamacpp"],
        default_model=MODEL, must_answer=False, backoff=(30.0, 30.0),
    )  # fmt: skip
    await core.start()
    fault = (await run_to_end(core, asking("hello"), core.slots()[0])).items[-1]
    await core.stop(drain_s=0)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.retryable) == (FaultKind.REFUSED, False)
    assert "LLAMA_API_KEY" in fault.reason
    assert "sk-wrong" not in fault.reason
