"""Core monitor: inspections, when the kernel begins one by itself, and the models it learns of."""

from __future__ import annotations

import asyncio

import pytest

from engine.cores.ollama.core import OllamaCore
from engine.cores.port import CoreInfo, SlotEvent
from engine.events import CoreChanged
from engine.kernel import Kernel, core_monitor, inspection_schedule
from engine.task import TaskSpec
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.kernel.helpers import GateCore, limit, make_kernel, seen, within


class Slow(GateCore):
    """Each inspection sees its state, and is answered when the test says so."""

    def __init__(self) -> None:
        super().__init__(models=("a", "b"))
        self.loaded = {"a"}
        self.answers: asyncio.Queue[asyncio.Event] | None = None

    async def inspect(self) -> CoreInfo:
        info = await super().inspect()
        if self.answers is not None:
            answer = asyncio.Event()
            self.answers.put_nowait(answer)
            await answer.wait()
        return info


async def test_of_two_inspections_at_once_the_newer_counts_whichever_ends_last() -> None:
    core = Slow()
    kernel = make_kernel(core)
    await kernel.start()
    core.answers = asyncio.Queue()
    older = asyncio.create_task(kernel.inspect())
    of_older = await core.answers.get()
    core.loaded = {"b"}
    newer = asyncio.create_task(kernel.inspect())
    (await core.answers.get()).set()
    await newer
    of_older.set()
    await older
    assert [model.name for info in kernel.infos for model in info.models if model.loaded] == ["b"]
    assert kernel.slots.models["gate"].held == {"b"}
    await kernel.stop()


class Talkative(GateCore):
    """Each inspection makes it report that its models have changed."""

    async def inspect(self) -> CoreInfo:
        self.says.put_nowait(SlotEvent("models"))
        return await super().inspect()


async def test_a_core_that_changes_with_every_inspection_is_not_inspected_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 3_600.0)
    core = Talkative()
    kernel = make_kernel(core)
    await kernel.start()
    for _ in range(200):
        await asyncio.sleep(0)
    assert core.inspections == 2, "one at the start, one for what the core reported then"
    await kernel.stop()


async def test_the_last_of_several_reports_leads_to_an_inspection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.02)
    core = GateCore(models=("a",))
    kernel = make_kernel(core)
    await kernel.start()
    async with limit("the last model is known"):
        for name in ("b", "c", "d"):
            core.models = (name,)
            core.says.put_nowait(SlotEvent("models"))
            await asyncio.sleep(0)
        while [model.name for info in kernel.infos for model in info.models] != ["d"]:
            await asyncio.sleep(0.005)
    await kernel.stop()


def shared_core(*, loaded: set[str], name: str = "gate") -> GateCore:
    """A core that other clients use, too: it holds one model at a time."""
    core = GateCore(name=name, models=("a", "b"))
    core.one_model, core.loaded = True, loaded
    return core


async def serve(core: GateCore, count: int) -> list[str | None]:
    """End the next attempts as they begin, with their models loaded; returns those."""
    models = []
    for _ in range(count):
        running = await core.next()
        core.loaded = {running.attempt.model or "a"}
        models.append(running.attempt.model)
        running.say("x")
        running.end()
    return models


AABB = [TaskSpec(prompt="x", model=model) for model in "aabb"]


async def test_work_that_arrives_finds_the_model_that_another_client_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    core = shared_core(loaded={"a"})
    kernel = make_kernel(core, policy="fifo:affinity=8")
    await kernel.start()
    first = await kernel.submit(AABB[0])
    assert await serve(core, 1) == ["a"]
    await kernel.wait(first)
    core.loaded = {"b"}
    await kernel.submit_many(AABB)
    assert await serve(core, 4) == ["b", "b", "a", "a"]
    await kernel.stop()


async def test_so_does_work_that_waited_for_a_paused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    core = shared_core(loaded={"a"})
    kernel = make_kernel(core, policy="fifo:affinity=8")
    await kernel.start(paused=True)
    await kernel.submit_many(AABB)
    core.loaded = {"b"}
    kernel.resume()
    assert await serve(core, 4) == ["b", "b", "a", "a"]
    await kernel.stop()


async def test_with_several_cores_a_task_goes_where_another_client_loaded_its_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    cores = [shared_core(loaded={"a"}, name=name) for name in ("one", "two")]
    kernel = make_kernel(*cores)
    await kernel.start()
    cores[1].loaded = {"b"}
    await kernel.submit(AABB[2])
    assert (await cores[1].next()).attempt.model == "b"
    await kernel.stop()


async def test_work_does_not_wait_for_an_inspection_that_can_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    core = shared_core(loaded={"a"})
    kernel = make_kernel(core)
    await kernel.start()
    core.loaded = {"b"}
    await kernel.submit_many(AABB)
    assert (await core.next()).attempt.model == "a"
    assert core.inspections == 1, "the one at the start"
    await kernel.stop()


async def test_a_core_that_answers_no_inspection_delays_work_only_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    monkeypatch.setattr(core_monitor, "HOLD_S", 0.02)
    core = Slow()
    kernel = make_kernel(core, policy="fifo:affinity=8")
    await kernel.start()
    core.answers = asyncio.Queue()
    await kernel.submit_many(AABB)
    assert core.begun.empty()
    assert (await core.next()).attempt.model == "a"
    assert core.answers.qsize() == 1
    await kernel.stop()


def on_hold(kernel: Kernel) -> bool:
    return kernel.dispatcher.on_hold


async def test_a_hold_changes_neither_what_is_upcoming_nor_the_next_arrivals_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While tasks wait for an inspection, the queue is shown as ever; a core that is silent is not waited for twice."""
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    monkeypatch.setattr(core_monitor, "HOLD_S", 0.02)
    core = Slow()
    kernel = make_kernel(core, policy="fifo:affinity=8")
    await kernel.start()
    core.answers = asyncio.Queue()
    ids = await kernel.submit_many(AABB)
    assert on_hold(kernel)
    assert [task for task, _ in kernel.upcoming(10)] == ids == [task.id for task in kernel.live_tasks()]
    running = await core.next()
    await kernel.cancel(running.attempt.task)
    for task in ids[1:]:
        await kernel.cancel(task)
    await kernel.submit(AABB[0])
    assert not on_hold(kernel)
    await kernel.stop()


async def test_a_core_whose_inspection_raises_is_unhealthy_and_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(GateCore):
        inspections = 0

        async def inspect(self) -> CoreInfo:
            self.inspections += 1
            raise ZeroDivisionError("no\nnumber")

    core = Broken()
    kernel = make_kernel(core)
    await kernel.start()
    core.says.put_nowait(SlotEvent("models"))
    (info,) = await kernel.inspect()
    assert (info.healthy, info.detail) == (False, "inspect failed: ZeroDivisionError: no number")
    seen_so_far = core.inspections
    for _ in range(50):
        await asyncio.sleep(0.002)
    assert core.inspections <= seen_so_far + 1
    await kernel.stop()


async def test_a_kept_alive_model_is_forgotten_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MIN_GAP_S", "GAP_S", "UNLOAD_S"):
        monkeypatch.setattr(inspection_schedule, name, 0.0)
    core = shared_core(loaded={"a"})
    kernel = make_kernel(core)
    core.expires = {"a": kernel.now() + 0.05}
    subscription = kernel.subscribe()
    await kernel.start()
    assert kernel.slots.models["gate"].held == {"a"}
    await seen(subscription, CoreChanged)
    core.loaded = set()
    core.expires = {}
    await seen(subscription, CoreChanged)
    assert kernel.slots.models["gate"].held == set()
    assert kernel._services.monitor._timers == {}, "nothing loaded, nothing to wait for"
    await kernel.stop()


async def test_a_model_is_known_to_be_loaded_as_soon_as_it_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    core = shared_core(loaded={"a"})
    kernel = make_kernel(core)
    subscription = kernel.subscribe()
    await kernel.start()
    await kernel.submit(AABB[2])
    running = await core.next()
    core.loaded = {"b"}
    subscription.drain()
    running.say("x")
    [changed] = await seen(subscription, CoreChanged)
    assert isinstance(changed, CoreChanged)
    assert [model.name for model in changed.info.models if model.loaded] == ["b"]
    assert not running.stopped
    await kernel.stop()


async def test_an_executing_attempt_keeps_inspections_going(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    monkeypatch.setattr(inspection_schedule, "BUSY_S", 0.01)
    core = shared_core(loaded={"a"})
    kernel = make_kernel(core)
    subscription = kernel.subscribe()
    await kernel.start()
    task = await kernel.submit(AABB[0])
    running = await core.next()
    await seen(subscription, CoreChanged, 4)
    monkeypatch.setattr(inspection_schedule, "BUSY_S", 3_600.0)
    running.end()
    await kernel.wait(task)
    await kernel.stop()


async def test_an_unhealthy_core_is_inspected_until_it_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    monkeypatch.setattr(inspection_schedule, "UNHEALTHY_S", (0.005, 0.01))
    core = shared_core(loaded={"a"})
    core.healthy = False
    kernel = make_kernel(core)
    subscription = kernel.subscribe()
    await kernel.start()
    await seen(subscription, CoreChanged, 3)
    core.healthy = True
    while not kernel.infos[0].healthy:
        await seen(subscription, CoreChanged)
    assert kernel._services.monitor._timers == {}
    await kernel.stop()


@pytest.mark.parametrize("first", [True, False], ids=["after a task", "after the start"])
async def test_a_headless_kernel_serves_what_another_client_loaded_on_ollama(
    monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    monkeypatch.setattr(inspection_schedule, "MIN_GAP_S", 0.0)
    async with FakeOllama("a", "b") as fake:
        kernel = make_kernel(OllamaCore(fake.host, slots=1), policy="fifo:affinity=8")
        await kernel.start()
        if first:
            await within(kernel.wait(await kernel.submit(AABB[0])))
        fake.loaded = ["b"]
        ids = await kernel.submit_many(AABB)
        await within(asyncio.gather(*map(kernel.wait, ids)))
        await kernel.stop()
    models = [request.body["model"].removesuffix(":latest") for request in fake.chats()]
    assert models[first:] == ["b", "b", "a", "a"]
