"""The kernel over an OpenAI-compatible server: what waits, what is not held against a task, what is counted here."""

from __future__ import annotations

import asyncio

import pytest

from engine.cores.openai.core import OpenAICore
from engine.cores.openai.presets import load_presets
from engine.cores.port import SlotState
from engine.cores.scripted import ScriptedCore
from engine.events import AttemptEnded, SlotChanged
from engine.task import TaskSpec, TaskState
from tests.engine.cores.helpers import Final, Raw, Say, Wait
from tests.engine.cores.ollama.test_core import QUICK
from tests.engine.cores.openai.fake_server import FakeOpenAI, event, refusal
from tests.engine.kernel.helpers import make_kernel, seen
from tests.waiting import PATIENCE_S

MODEL = "tiny"


async def test_tasks_wait_while_the_server_is_down_and_end_when_it_is_back() -> None:
    async with FakeOpenAI(MODEL) as fake:
        kernel = make_kernel(OpenAICore(name="lab", base_url=fake.url, slots=1, backoff=QUICK))
        events = kernel.subscribe()
        await kernel.start()
        await fake.stop()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(5)])
        up, down = await seen(events, SlotChanged, 2)
        assert isinstance(up, SlotChanged)
        assert isinstance(down, SlotChanged)
        assert (up.state, down.state) == (SlotState.UP, SlotState.DOWN)
        await fake.start()
        async with asyncio.timeout(PATIENCE_S):
            ended = [await kernel.wait(task) for task in tasks]
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}
    assert {task.result for task in ended} == {"Hello there."}
    assert sum(task.attempts for task in ended) == 6  # one found the server gone, the others waited


@pytest.mark.parametrize("default", [None, "claude-y"])
async def test_what_tells_no_models_is_given_the_tasks_that_no_other_core_has_the_model_of(default: str | None) -> None:
    async with FakeOpenAI("claude-x") as fake:
        fake.overrides["/v1/models"] = refusal(404, "no such route")
        hosted = OpenAICore(
            name="far", base_url=fake.url, key="k" * 20, preset=load_presets()["anthropic"], default_model=default
        )
        kernel = make_kernel(hosted, ScriptedCore(name="near"))
        await kernel.start()
        assert [info.healthy for info in kernel.infos] == [True, True]
        async with asyncio.timeout(PATIENCE_S):
            named = await kernel.wait(await kernel.submit(TaskSpec(prompt="hello", model="claude-x")))
            other = await kernel.wait(await kernel.submit(TaskSpec(prompt="hello", model="scripted")))
        await kernel.stop()
    assert (named.state, named.core) == (TaskState.DONE, "far")
    assert (other.state, other.core) == (TaskState.DONE, "near")


async def test_a_server_that_is_up_and_lists_nothing_is_asked_all_the_same() -> None:
    """It may refuse; that nobody knows what it has is no reason to keep a task waiting for ever."""
    async with FakeOpenAI() as fake:
        kernel = make_kernel(OpenAICore(name="lab", base_url=fake.url), ScriptedCore(name="near"))
        await kernel.start()
        async with asyncio.timeout(PATIENCE_S):
            task = await kernel.wait(await kernel.submit(TaskSpec(prompt="hello", model="tiny")))
        await kernel.stop()
    assert (task.state, task.core) == (TaskState.FAILED, "lab")
    assert "model 'tiny' not found" in (task.error or "")


async def test_being_asked_to_wait_is_never_held_against_a_task() -> None:
    """More often than a task may fail; and while the core rests, the next task is not even tried."""
    async with FakeOpenAI(MODEL) as fake:
        fake.scripts += [refusal(429, "Rate limit reached", ("Retry-After", "0.01"))] * 7
        kernel = make_kernel(OpenAICore(name="lab", base_url=fake.url, slots=1, backoff=QUICK))
        events = kernel.subscribe()
        await kernel.start()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(2)])
        async with asyncio.timeout(PATIENCE_S):
            ended = [await kernel.wait(task) for task in tasks]
        attempts = await seen(events, AttemptEnded, 9)
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}
    faults = [one.fault for one in attempts if isinstance(one, AttemptEnded)]
    assert sorted(faults, key=str) == [None] * 2 + ["busy"] * 7
    assert len(fake.chats()) == 9


async def test_the_server_never_gets_more_than_its_slots() -> None:
    async with FakeOpenAI(MODEL) as fake:
        gate = Wait()
        fake.usual = lambda _request: (Say("one"), gate, Final())
        kernel = make_kernel(OpenAICore(name="lab", base_url=fake.url, slots=3))
        await kernel.start()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(12)])
        await fake.until(lambda server: server.active == 3)
        gate.event.set()
        async with asyncio.timeout(PATIENCE_S):
            for task in tasks:
                await kernel.wait(task)
        await kernel.stop()
        assert (len(fake.chats()), fake.most_active) == (12, 3)


async def test_cancelling_a_task_stops_the_server() -> None:
    async with FakeOpenAI(MODEL) as fake:
        fake.scripts.append((Say("one"), Wait()))
        kernel = make_kernel(OpenAICore(name="lab", base_url=fake.url))
        await kernel.start()
        task = await kernel.submit(TaskSpec(prompt="hello"))
        await fake.until(lambda server: server.active == 1)
        assert await kernel.cancel(task)
        await fake.until(lambda server: server.active == 0 and server.disconnects == 1)
        assert (await kernel.wait(task)).state is TaskState.CANCELLED
        await kernel.stop()


async def test_tokens_that_the_server_does_not_count_are_counted_here() -> None:
    async with FakeOpenAI(MODEL) as fake:
        last = event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        fake.scripts.append((Say("one"), Say(" two"), Say(" three"), Raw(last)))
        kernel = make_kernel(OpenAICore(name="lab", base_url=fake.url))
        await kernel.start()
        task = await kernel.submit(TaskSpec(prompt="hello"))
        async with asyncio.timeout(PATIENCE_S):
            ended = await kernel.wait(task)
        await kernel.stop()
    assert (ended.result, ended.tokens_in, ended.tokens_out) == ("one two three", 0, 3)
    assert ended.decode_s > 0
