"""The kernel over an Ollama server: what waits while it is down, what it is never given, and what it keeps hold of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from engine.cores.ollama.core import OllamaCore
from engine.cores.port import SlotState
from engine.events import AttemptEnded, SlotChanged
from engine.task import TaskSpec, TaskState
from tests.engine.cores.helpers import Final, Say, Status, Wait, say
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FakeModel
from tests.engine.cores.ollama.test_core import MODEL, QUICK
from tests.engine.kernel.helpers import QUICK as GATE_QUICK
from tests.engine.kernel.helpers import make_kernel, seen
from tests.waiting import PATIENCE_S


async def test_tasks_wait_while_the_server_is_down_and_end_when_it_is_back() -> None:
    async with FakeOllama(MODEL) as fake:
        kernel = make_kernel(OllamaCore(fake.host, slots=1, backoff=QUICK))
        events = kernel.subscribe()
        await kernel.start()
        await fake.stop()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(5)])
        up, down = await seen(events, SlotChanged, 2)
        assert isinstance(up, SlotChanged)
        assert isinstance(down, SlotChanged)
        assert (up.state, down.state) == (SlotState.UP, SlotState.DOWN)
        assert fake.host in down.reason
        assert kernel.queued_count + kernel.running_count == 5
        await fake.start()
        async with asyncio.timeout(PATIENCE_S):
            ended = [await kernel.wait(task) for task in tasks]
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}
    assert {task.result for task in ended} == {"Hello there."}
    assert sum(task.attempts for task in ended) == 6  # one found the server gone, the others waited
    assert len(fake.chats()) == 5


def _become_a_router(fake: FakeOllama) -> Callable[[], None]:
    """Have it answer everything with a web page, until what is returned is called."""
    page, usual = Status(200, b"<!doctype html><title>Router login</title>"), fake.usual
    fake.usual = lambda _request: page
    fake.overrides |= dict.fromkeys(("/api/version", "/api/tags", "/api/ps"), page)

    def back() -> None:
        fake.usual = usual
        fake.overrides.clear()

    return back


async def test_tasks_wait_while_something_else_answers_in_its_place() -> None:
    async with FakeOllama(MODEL) as fake:
        kernel = make_kernel(OllamaCore(fake.host, slots=2, backoff=QUICK))
        events = kernel.subscribe()
        await kernel.start()
        back = _become_a_router(fake)
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(6)])
        await fake.until(lambda server: sum(each.path == "/api/version" for each in server.requests) >= 4)
        *_, down = await seen(events, SlotChanged, 3)
        assert isinstance(down, SlotChanged)
        assert down.state is SlotState.DOWN
        assert "is not Ollama (it answers with the web page 'Router login'" in down.reason
        assert kernel.queued_count + kernel.running_count == 6
        back()
        async with asyncio.timeout(PATIENCE_S):
            ended = [await kernel.wait(task) for task in tasks]
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}
    assert sum(task.attempts for task in ended) <= 8  # one on each slot found the page, the others waited


async def test_with_two_hosts_the_one_that_is_not_ollama_gets_nothing_more() -> None:
    async with FakeOllama(MODEL) as fake, FakeOllama(MODEL) as other:
        cores = [OllamaCore(each.host, slots=1, name=name, backoff=QUICK)
                 for name, each in (("den", fake), ("attic", other))]  # fmt: skip
        kernel = make_kernel(*cores)
        await kernel.start()
        _become_a_router(fake)
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(6)])
        async with asyncio.timeout(PATIENCE_S):
            ended = [await kernel.wait(task) for task in tasks]
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}
    assert len(other.chats()) == 6
    assert len(fake.chats()) <= 1


async def test_a_list_of_models_that_is_not_ollamas_does_not_set_it_going_round() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, slots=1, backoff=QUICK)
        await core.start()
        fake.overrides["/api/tags"] = Status(200, b"[]")
        asked = len(fake.requests)
        assert not (await core.inspect()).healthy
        assert [slot.state for slot in core.slots()] == [SlotState.UP]
        assert len(fake.requests) == asked + 2
        await core.stop(drain_s=0)


async def test_the_server_never_gets_more_than_its_slots() -> None:
    async with FakeOllama(MODEL) as fake:
        gate = Wait()
        fake.usual = lambda _request: (Say("one"), gate, Final())
        kernel = make_kernel(OllamaCore(fake.host, slots=2))
        await kernel.start()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(20)])
        await fake.until(lambda server: server.active == 2)
        assert len(fake.chats()) == 2
        gate.event.set()
        async with asyncio.timeout(PATIENCE_S):
            for task in tasks:
                await kernel.wait(task)
        await kernel.stop()
        assert len(fake.chats()) == 20
        assert fake.most_active == 2


async def test_many_slots_are_all_used() -> None:
    """More than the hundred connections that the HTTP client would open by itself."""
    async with FakeOllama(MODEL) as fake:
        gate = Wait()
        fake.usual = lambda _request: (Say("one"), gate, Final())
        kernel = make_kernel(OllamaCore(fake.host, slots=120))
        await kernel.start()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(120)])
        await fake.until(lambda server: server.active == 120)
        gate.event.set()
        async with asyncio.timeout(PATIENCE_S):
            ended = [await kernel.wait(task) for task in tasks]
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}


async def test_a_busy_server_is_asked_again() -> None:
    async with FakeOllama(MODEL) as fake:
        fake.scripts += [Status(503, "server busy"), say("at ", "last")]
        kernel = make_kernel(OllamaCore(fake.host, slots=1))
        events = kernel.subscribe()
        await kernel.start()
        task = await kernel.submit(TaskSpec(prompt="hello"))
        async with asyncio.timeout(PATIENCE_S):
            ended = await kernel.wait(task)
        first, second = await seen(events, AttemptEnded, 2)
        await kernel.stop()
    assert (ended.state, ended.result, ended.attempts) == (TaskState.DONE, "at last", 2)
    assert isinstance(first, AttemptEnded)
    assert isinstance(second, AttemptEnded)
    assert (first.fault, second.fault) == ("busy", None)


async def test_a_task_that_a_busy_server_refused_is_ready_again_in_its_place() -> None:
    """It is among what waits, not in a pause of its own that younger tasks would overtake."""
    async with FakeOllama(MODEL) as fake:
        fake.scripts += [Status(503, "server busy")]
        kernel = make_kernel(
            OllamaCore(fake.host, slots=1, backoff=(0.2, 0.2)), config=replace(GATE_QUICK, backoff_s=300.0)
        )
        events = kernel.subscribe()
        await kernel.start()
        refused = await kernel.submit(TaskSpec(prompt="the oldest"))
        (first,) = await seen(events, AttemptEnded, 1)
        younger = await kernel.submit_many([TaskSpec(prompt=f"younger {n}") for n in range(3)])
        async with asyncio.timeout(PATIENCE_S):
            for task in (refused, *younger):
                assert (await kernel.wait(task)).state is TaskState.DONE
        await kernel.stop()
    assert isinstance(first, AttemptEnded)
    assert first.retry_in_s == 0.0
    asked = [chat.body["messages"][-1]["content"] for chat in fake.chats()]
    assert asked == ["the oldest", "the oldest", "younger 0", "younger 1", "younger 2"]


async def test_cancelling_a_task_stops_the_server() -> None:
    async with FakeOllama(MODEL) as fake:
        fake.scripts.append((Say("one"), Wait()))
        kernel = make_kernel(OllamaCore(fake.host, slots=1))
        await kernel.start()
        task = await kernel.submit(TaskSpec(prompt="hello"))
        await fake.until(lambda server: server.active == 1)
        assert await kernel.cancel(task)
        await fake.until(lambda server: server.active == 0 and server.disconnects == 1)
        assert (await kernel.wait(task)).state is TaskState.CANCELLED
        await kernel.stop()


async def test_a_load_that_never_ends_is_named() -> None:
    async with FakeOllama(MODEL) as fake:
        fake.usual = lambda _request: (Wait(),)
        kernel = make_kernel(
            OllamaCore(fake.host, slots=1), config=replace(GATE_QUICK, first_token_s=0.05, max_attempts=1)
        )
        await kernel.start()
        async with asyncio.timeout(PATIENCE_S):
            loading = await kernel.wait(await kernel.submit(TaskSpec(prompt="hello")))
            fake.loaded = [MODEL]
            await kernel.inspect()
            silent = await kernel.wait(await kernel.submit(TaskSpec(prompt="hello")))
        await fake.until(lambda server: server.active == 0)  # it was stopped at the server
        await kernel.stop()
    assert loading.error == (
        f"ollama: no first token within 0.05 s; '{MODEL}' was not in memory before, so it was still being loaded"
    )
    assert silent.error == "ollama: no first token within 0.05 s"


async def test_two_hosts_one_of_which_comes_later() -> None:
    """It is down from the start, its model's tasks wait, the others run; and it comes up by itself."""
    big = FakeModel("big:70b")
    async with FakeOllama(MODEL) as near, FakeOllama(big) as far:
        await far.stop()
        cores = (
            OllamaCore(near.host, name="near", slots=1, must_answer=False, backoff=QUICK),
            OllamaCore(far.host, name="far", slots=1, must_answer=False, backoff=QUICK),
        )
        kernel = make_kernel(*cores)
        events = kernel.subscribe()
        await kernel.start()
        states = {place.slot.id: place.slot.state for place in kernel.slots}
        assert states == {"near/0": SlotState.UP, "far/0": SlotState.DOWN}
        waiting = await kernel.submit(TaskSpec(prompt="wait", model="big:70b"))
        plain = await kernel.submit_many([TaskSpec(prompt=f"task {n}", model=MODEL) for n in range(3)])
        async with asyncio.timeout(PATIENCE_S):
            assert {(await kernel.wait(task)).core for task in plain} == {"near"}
        assert [task.id for task in kernel.live_tasks()] == [waiting]
        await far.start()
        async with asyncio.timeout(PATIENCE_S):
            ended = await kernel.wait(waiting)
        await kernel.stop()
        changes = [(e.slot, e.state) for e in events.drain() if isinstance(e, SlotChanged)]
    assert (ended.state, ended.core, ended.model, ended.attempts) == (TaskState.DONE, "far", "big:70b", 1)
    assert changes == [("near/0", SlotState.UP), ("far/0", SlotState.DOWN), ("far/0", SlotState.UP)]
    assert not [request for request in near.chats() if request.body["model"] == "big:70b"]
