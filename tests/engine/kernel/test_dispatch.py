"""Dispatching: order, slots, rounds, policy switches, priorities, pause and drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import SlotEvent
from engine.errors import UsageError
from engine.events import CoreChanged, PolicyChanged, SyscallReady
from engine.kernel import Kernel
from engine.kernel.dispatcher import SyscallId
from engine.scheduling import Ready
from engine.task import KernelState, TaskSpec
from tests.engine.kernel.helpers import CodeAgent, GateCore, make_kernel, seen, until, within


@pytest.fixture
async def core() -> GateCore:
    return GateCore()


@pytest.fixture
async def kernel(core: GateCore) -> AsyncIterator[Kernel]:
    kernel = make_kernel(core)
    await kernel.start()
    yield kernel
    await kernel.stop()


def spec(prompt: str, priority: int = 5, agent: str = "chat", model: str | None = None) -> TaskSpec:
    return TaskSpec(prompt=prompt, priority=priority, agent=agent, model=model)


async def run_all(kernel: Kernel, core: GateCore, ids: list[int]) -> list[tuple[int, int]]:
    """Let every attempt end at once; returns the (task, round) of each in the order they were started."""
    order = []
    while any(kernel._tasks.get(task) for task in ids):
        running = await core.next()
        order.append((running.attempt.task, running.attempt.round))
        running.end()
        await asyncio.sleep(0)
        if kernel.running_count == 0:
            break
        await _next_or_none(kernel, core)
    return order


async def _next_or_none(kernel: Kernel, core: GateCore) -> None:
    """Wait until another attempt has begun or no task is left."""
    await until(
        lambda: not core.begun.empty() or not kernel.queued_count + kernel.running_count,
        "another attempt begins, or no task is left",
    )


async def test_an_idle_kernel_starts_a_task_at_once(kernel: Kernel, core: GateCore) -> None:
    task = await kernel.submit(spec("now"))
    running = await core.next()
    assert running.attempt.task == task
    assert running.attempt.messages[-1].content == "now"


async def test_fifo_keeps_arrival_and_ignores_priority(core: GateCore) -> None:
    kernel = make_kernel(core)
    await kernel.start(paused=True)
    ids = await kernel.submit_many([spec("a", 9), spec("b", 0), spec("c", 5)])
    kernel.resume()
    assert [task for task, _ in await run_all(kernel, core, ids)] == ids
    await kernel.stop()


async def test_npps_takes_the_most_urgent_first(core: GateCore) -> None:
    kernel = make_kernel(core, policy="npps")
    await kernel.start(paused=True)
    a, b, c, d = await kernel.submit_many([spec("a", 9), spec("b", 5), spec("c", 0), spec("d", 5)])
    kernel.resume()
    assert [task for task, _ in await run_all(kernel, core, [a, b, c, d])] == [c, b, d, a]
    finals = [await kernel.wait(task) for task in (c, b, d, a)]
    assert [final.dispatch_order for final in finals] == [1, 2, 3, 4]
    await kernel.stop()


async def test_a_task_that_goes_straight_on_keeps_its_slot(core: GateCore) -> None:
    """FIFO with one slot: t1r1 t1r2 t1r3 t2r1 …"""
    kernel = make_kernel(core)
    await kernel.start(paused=True)
    a, b = await kernel.submit_many([spec("a", agent="story_teller"), spec("b", agent="story_teller")])
    kernel.resume()
    order = await run_all(kernel, core, [a, b])
    assert order == [(a, 1), (a, 2), (a, 3), (b, 1), (b, 2), (b, 3)]
    await kernel.stop()


async def test_only_a_strictly_more_urgent_task_goes_between_rounds(core: GateCore) -> None:
    kernel = make_kernel(core, policy="npps")
    subscription = kernel.subscribe()
    await kernel.start()
    story = await kernel.submit(spec("story", 5, "story_teller"))
    first = await core.next()
    same = await kernel.submit(spec("same", 5))
    urgent = await kernel.submit(spec("urgent", 2))
    first.end()
    second = await core.next()
    assert second.attempt.task == urgent
    [ready] = await seen(subscription, SyscallReady)
    assert isinstance(ready, SyscallReady)
    assert (ready.task, ready.round) == (story, 2)
    second.end()
    order = [(story, 2), (story, 3), (same, 1)]
    for expected in order:
        running = await core.next()
        assert (running.attempt.task, running.attempt.round) == expected
        running.end()
    await kernel.wait(same)
    await kernel.stop()


async def test_a_running_syscall_is_never_interrupted_by_a_more_urgent_one(kernel: Kernel, core: GateCore) -> None:
    kernel.switch_policy("npps")
    slow = await kernel.submit(spec("slow", 9))
    running = await core.next()
    await kernel.submit(spec("urgent", 0))
    await asyncio.sleep(0)
    assert [r.attempt.task for r in core.running] == [slow]
    running.end()
    assert (await kernel.wait(slow)).attempts == 1


async def test_switching_reorders_what_is_ready_and_touches_nothing_else(core: GateCore) -> None:
    kernel = make_kernel(core)
    subscription = kernel.subscribe()
    await kernel.start()
    ids = await kernel.submit_many([spec("a", 9), spec("b", 8), spec("c", 1)])
    running = await core.next()
    kernel.switch_policy("npps")
    assert core.running == [running]
    running.end()
    assert (await core.next()).attempt.task == ids[2]
    changes = await seen(subscription, PolicyChanged, 2)
    assert [change.policy for change in changes if isinstance(change, PolicyChanged)] == ["fifo", "npps"]
    with pytest.raises(UsageError, match="unknown policy"):
        kernel.switch_policy("random")
    assert kernel.policy.name == "npps"
    await kernel.stop()


async def test_a_core_is_given_no_more_than_its_slots() -> None:
    core = GateCore(slots=3)
    kernel = make_kernel(core)
    await kernel.start()
    ids = await kernel.submit_many([spec(f"p{n}") for n in range(20)])
    for _ in ids:
        (await core.next()).end()
    for task in ids:
        await kernel.wait(task)
    assert core.most_at_once == 3
    await kernel.stop()


async def test_priority_of_a_queued_task_can_be_changed(core: GateCore) -> None:
    kernel = make_kernel(core, policy="npps")
    await kernel.start(paused=True)
    a, b = await kernel.submit_many([spec("a"), spec("b")])
    assert kernel.reprioritise(b, 0)
    assert not kernel.reprioritise(999, 0)
    with pytest.raises(ValueError, match="0 … 9"):
        kernel.reprioritise(a, 10)
    kernel.resume()
    assert [task for task, _ in await run_all(kernel, core, [a, b])] == [b, a]
    assert (await kernel.wait(b)).priority == 0
    await kernel.stop()


async def test_priority_of_a_running_task_counts_for_its_later_rounds(core: GateCore) -> None:
    kernel = make_kernel(core, policy="npps")
    await kernel.start()
    story = await kernel.submit(spec("story", 0, "story_teller"))
    first = await core.next()
    other = await kernel.submit(spec("other", 5))
    kernel.reprioritise(story, 9)
    first.end()
    assert (await core.next()).attempt.task == other
    await kernel.stop()


async def test_pause_lets_a_round_end_and_dispatches_nothing_more(kernel: Kernel, core: GateCore) -> None:
    subscription = kernel.subscribe()
    story = await kernel.submit(spec("story", agent="story_teller"))
    running = await core.next()
    kernel.pause()
    running.end()
    await seen(subscription, SyscallReady)
    await kernel.submit(spec("later"))
    await asyncio.sleep(0)
    assert core.running == []
    assert kernel.state is KernelState.PAUSED
    kernel.resume()
    again = await core.next()
    assert (again.attempt.task, again.attempt.round) == (story, 2)


async def test_drain_finishes_running_tasks_and_starts_no_other(kernel: Kernel, core: GateCore) -> None:
    story, later = await kernel.submit_many([spec("story", agent="story_teller"), spec("later")])
    first = await core.next()
    draining = asyncio.create_task(kernel.drain())
    first.end()
    for _ in range(2):
        running = await core.next()
        assert running.attempt.task == story
        running.end()
    await within(draining)
    assert kernel.state is KernelState.DRAINING
    assert (kernel.running_count, kernel.queued_count) == (0, 1)
    accepted = await kernel.submit(spec("accepted while draining"))
    kernel.resume()
    for task in (later, accepted):
        running = await core.next()
        assert running.attempt.task == task
        running.end()


async def test_resume_ends_a_drain(kernel: Kernel, core: GateCore) -> None:
    await kernel.submit(spec("a"))
    await core.next()
    draining = asyncio.create_task(kernel.drain())
    await asyncio.sleep(0)
    kernel.resume()
    await within(draining)
    assert kernel.state is KernelState.RUNNING
    assert kernel.running_count == 1


async def test_while_an_agent_does_something_else_its_slot_serves_others(core: GateCore) -> None:
    tool_done = asyncio.Event()

    async def uses_a_tool(ctx: AgentContext) -> str:
        await ctx.llm("which tool?")
        await tool_done.wait()
        return (await ctx.llm("what now?")).text

    kernel = make_kernel(core, agents=[CodeAgent("tool_user", uses_a_tool)])
    await kernel.start()
    user, other = await kernel.submit_many([spec("u", agent="tool_user"), spec("o")])
    (await core.next()).end()
    between = await core.next()
    assert between.attempt.task == other
    tool_done.set()
    between.end()
    last = await core.next()
    assert (last.attempt.task, last.attempt.round) == (user, 2)
    last.say("done")
    last.end()
    assert (await kernel.wait(user)).result == "done"
    await kernel.stop()


async def test_an_agent_that_first_does_something_else_gives_its_slot_back(core: GateCore) -> None:
    ready = asyncio.Event()

    async def thinks_first(ctx: AgentContext) -> str:
        await ready.wait()
        return (await ctx.llm("now")).text

    kernel = make_kernel(core, agents=[CodeAgent("thinker", thinks_first)])
    await kernel.start()
    thinker, other = await kernel.submit_many([spec("t", agent="thinker"), spec("o")])
    first = await core.next()
    assert first.attempt.task == other
    ready.set()
    first.end()
    second = await core.next()
    assert second.attempt.task == thinker
    second.end()
    await kernel.wait(thinker)
    await kernel.stop()


async def test_an_agent_may_ask_for_several_rounds_at_once() -> None:
    core = GateCore(slots=2)

    async def forks(ctx: AgentContext) -> str:
        replies = await asyncio.gather(ctx.llm("left"), ctx.llm("right"))
        return " ".join(reply.text for reply in replies)

    kernel = make_kernel(core, agents=[CodeAgent("forks", forks)])
    await kernel.start()
    task = await kernel.submit(spec("f", agent="forks"))
    for running in (await core.next(), await core.next()):
        running.say(running.attempt.messages[-1].content)
        running.end()
    final = await kernel.wait(task)
    assert (final.result, final.rounds) == ("left right", 2)
    await kernel.stop()


async def test_a_task_goes_to_a_core_that_has_its_model() -> None:
    small, large = GateCore(name="small", models=["s"]), GateCore(name="large", models=["l"])
    kernel = make_kernel(small, large)
    await kernel.start(paused=True)
    ids = await kernel.submit_many([spec("1", model="l"), spec("2", model="l"), spec("3", model="s"), spec("4")])
    kernel.resume()
    first, second = await large.next(), await small.next()
    assert (first.attempt.task, second.attempt.task) == (ids[0], ids[2])
    second.end()
    third = await small.next()
    assert third.attempt.task == ids[3], "the second task for the large model waits for its core"
    await kernel.stop()


async def test_ten_thousand_queued_tasks_are_no_coroutines(kernel: Kernel, core: GateCore) -> None:
    before = len(asyncio.all_tasks())
    ids = await kernel.submit_many([spec(f"p{n}") for n in range(10_000)])
    await core.next()
    assert len(asyncio.all_tasks()) - before <= 3
    assert kernel.queued_count == len(ids) - 1


async def test_a_task_waits_for_the_core_that_has_its_model_while_that_is_down() -> None:
    left, right = GateCore(name="left", models=("small",)), GateCore(name="right", models=("large",))
    kernel = make_kernel(left, right)
    await kernel.start()
    left.healthy = False
    subscription = kernel.subscribe()
    left.says.put_nowait(SlotEvent("down", None, "gone"))
    await seen(subscription, CoreChanged)
    task = await kernel.submit(TaskSpec(prompt="p", model="small"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert right.begun.empty() and kernel.queued_count == 1
    left.healthy = True
    left.says.put_nowait(SlotEvent("up"))
    (await left.next()).end()
    assert (await kernel.wait(task)).core == "left"
    await kernel.stop()


async def test_a_core_that_gets_a_model_is_given_what_waits_for_it() -> None:
    left, right = GateCore(name="left", models=("small",)), GateCore(name="right", models=("large",))
    kernel = make_kernel(left, right)
    await kernel.start()
    await kernel.submit_many([TaskSpec(prompt=prompt, model="small") for prompt in ("one", "two")])
    await left.next()
    right.models = ("large", "small")
    right.says.put_nowait(SlotEvent("models"))
    assert (await right.next()).attempt.messages[0].content == "two"
    await kernel.stop()


def looks(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tasks that are looked at from now on, to see whether they can go."""
    looked: list[int] = []
    admits = kernel.dispatcher.admits

    def counted(item: Ready[SyscallId]) -> bool:
        looked.append(item.id[0])
        return admits(item)

    monkeypatch.setattr(kernel.dispatcher, "admits", counted)
    return looked


async def test_a_drain_does_not_look_through_a_long_queue_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    core = GateCore(2)
    kernel = make_kernel(core, policy="npps")
    await kernel.start()
    await kernel.submit_many([TaskSpec(prompt=f"p{n}") for n in range(100)])
    first, second = await core.next(), await core.next()
    draining = asyncio.create_task(kernel.drain())
    looked = looks(kernel, monkeypatch)
    first.end()
    second.end()
    await within(draining)
    assert (looked, kernel.queued_count) == ([], 98)
    await kernel.stop()


async def test_what_waits_for_a_core_that_is_down_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = GateCore(name="left", models=("small",)), GateCore(name="right", models=("large",))
    kernel = make_kernel(left, right)
    await kernel.start()
    left.says.put_nowait(SlotEvent("down", None, "gone"))
    await kernel.submit_many([TaskSpec(prompt=f"p{n}", model="small") for n in range(200)])
    looked = looks(kernel, monkeypatch)
    tasks = await kernel.submit_many([TaskSpec(prompt=f"q{n}", model="large") for n in range(10)])
    for task in tasks:
        running = await right.next()
        assert running.attempt.task == task
        running.end()
        await kernel.wait(task)
    assert len(looked) <= 50, "each dispatch looks at the head of each model's queue, and no further"
    await kernel.stop()
