"""The real kernel on the real model: what an operator does, from submission to result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.agents.catalogue import load_catalogue
from engine.cores.embedded.core import EmbeddedCore
from engine.events import AttemptProgress
from engine.kernel import Kernel
from engine.scheduling import parse_policy
from engine.store import MemoryStore
from engine.task import GenerationOptions, TaskSpec, TaskState
from engine.testing.conformance import PATIENCE_S
from tests.engine.cores.embedded.exit_program import ESSAY, LONG_READ

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.asyncio(loop_scope="module"),
]


def task(prompt: str, *, agent: str = "chat", max_tokens: int = 8, model: str | None = None) -> TaskSpec:
    return TaskSpec(prompt=prompt, agent=agent, model=model, options=GenerationOptions(max_tokens=max_tokens))


def make_kernel(core: EmbeddedCore) -> Kernel:
    return Kernel(cores=[core], store=MemoryStore(), agents=load_catalogue(None)[0], policy=parse_policy("npps"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kernel() -> AsyncIterator[Kernel]:
    kernel = make_kernel(EmbeddedCore())
    await kernel.start()
    yield kernel
    await kernel.stop()


async def begun(kernel: Kernel, spec: TaskSpec, kind: str) -> int:
    """Submit, and return when the first chunk of that kind has come."""
    subscription = kernel.subscribe()
    task_id = await kernel.submit(spec)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await subscription.wait()
                for event in subscription.drain():
                    if isinstance(event, AttemptProgress) and (event.task, event.kind) == (task_id, kind):
                        return task_id
    finally:
        subscription.close()


async def test_rounds_and_their_counts(kernel: Kernel) -> None:
    ended = await asyncio.wait_for(kernel.wait(await kernel.submit(task("A goose.", agent="story_teller"))), PATIENCE_S)
    assert ended.state is TaskState.DONE, ended.error
    assert (ended.rounds, ended.attempts) == (3, 3)
    assert (ended.core, ended.model) == ("embedded", "smollm2:135m")
    assert 3 <= ended.tokens_out <= 24
    assert ended.tokens_in > 3
    assert ended.ttft_s is not None
    assert 0 < ended.decode_s <= ended.service_s
    assert ended.result


@pytest.mark.parametrize(("prompt", "kind"), [(ESSAY, "text"), (LONG_READ, "progress")], ids=["writing", "reading"])
async def test_cancel_stops_the_model_and_the_next_task_runs(kernel: Kernel, prompt: str, kind: str) -> None:
    doomed = await begun(kernel, task(prompt, max_tokens=1500), kind)
    assert await asyncio.wait_for(kernel.cancel(doomed), PATIENCE_S)
    assert (await kernel.wait(doomed)).state is TaskState.CANCELLED
    after = await asyncio.wait_for(kernel.wait(await kernel.submit(task("Hello"))), PATIENCE_S)
    assert after.state is TaskState.DONE, after.error
    assert (await kernel.inspect())[0].healthy


async def test_what_the_model_cannot_do_fails_with_its_reason_and_once(kernel: Kernel) -> None:
    strange = await kernel.wait(await kernel.submit(task("Hello", model="llama9:7b")))
    long = await asyncio.wait_for(kernel.wait(await kernel.submit(task("red fox " * 5000))), PATIENCE_S)
    assert (strange.state, strange.attempts) == (TaskState.FAILED, 1)
    assert "model 'llama9:7b' not found; installed: smollm2:135m" in (strange.error or "")
    assert (long.state, long.attempts) == (TaskState.FAILED, 1)
    assert "context holds 4096" in (long.error or "")


async def test_stopping_the_kernel_mid_stream_stops_the_model() -> None:
    core = EmbeddedCore(n_ctx=2048)
    kernel = make_kernel(core)
    await kernel.start()
    await begun(kernel, task(ESSAY, max_tokens=1500), "text")
    await asyncio.wait_for(kernel.stop(), PATIENCE_S)
    assert all(generation.ended.is_set() for _, generation in core._running.values())
    assert not (await core.inspect()).healthy
