"""Order of dispatch when a core would have to load another model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.agents.protocol import AgentContext
from engine.cores.port import Slot, SlotEvent
from engine.events import CoreChanged, ModelSwapped, SwapPlanned, TaskEnded
from engine.kernel import Kernel
from engine.task import TaskSpec, TaskState
from tests.engine.kernel.helpers import CodeAgent, GateCore, Running, make_kernel, seen
from tests.waiting import PATIENCE_S


def gpu(slots: int = 1, name: str = "gpu", models: Sequence[str] = ("a", "b")) -> GateCore:
    """A core that holds one model at a time."""
    core = GateCore(slots, name=name, models=models)
    core.one_model = True
    return core


def specs(models: str, priorities: str = "") -> list[TaskSpec]:
    """A task a letter, which is its model, each with a digit as its priority."""
    return [
        TaskSpec(prompt=f"{model}{n}", model=model, priority=int(priority))
        for n, (model, priority) in enumerate(zip(models, priorities or "5" * len(models), strict=True))
    ]


async def served(kernel: Kernel, *cores: GateCore, count: int) -> list[str]:
    """Let `count` attempts run, each to its end before the next is asked for; returns their prompts."""
    prompts = []
    for _ in range(count):
        asked = [asyncio.create_task(core.next()) for core in cores]
        ended, left = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert len(ended) == 1
        for task in left:
            task.cancel()
        running = ended.pop().result()
        prompts.append(running.attempt.messages[-1].content)
        running.end()
        await kernel.wait(running.attempt.task)
    return prompts


async def idle(turns: int = 20) -> None:
    """Give the loop some turns, in which something that should not happen could."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def started(policy: str, *cores: GateCore, tasks: Sequence[TaskSpec]) -> tuple[Kernel, list[int]]:
    kernel = make_kernel(*cores, policy=policy)
    await kernel.start(paused=True)
    ids = await kernel.submit_many(tasks)
    kernel.resume()
    return kernel, ids


async def test_a_head_of_another_model_is_passed_up_to_its_bound() -> None:
    core = gpu()
    kernel, _ = await started("fifo:affinity=2", core, tasks=specs("abaaabab"))
    assert await served(kernel, core, count=8) == ["a0", "a2", "a3", "b1", "b5", "b7", "a4", "a6"]
    await kernel.stop()


async def test_without_affinity_the_order_is_the_policys() -> None:
    core = gpu()
    kernel, _ = await started("fifo", core, tasks=specs("abaab"))
    assert await served(kernel, core, count=5) == ["a0", "b1", "a2", "a3", "b4"]
    await kernel.stop()


async def test_priorities_hold_across_models() -> None:
    core = gpu()
    kernel, _ = await started("npps:affinity=9", core, tasks=specs("ababa", "33521"))
    assert await served(kernel, core, count=5) == ["a4", "b3", "b1", "a0", "a2"]
    await kernel.stop()


async def test_affinity_is_switched_at_run_time() -> None:
    core = gpu()
    kernel, _ = await started("fifo", core, tasks=specs("abababa"))
    assert await served(kernel, core, count=1) == ["a0"]
    running = await core.next()
    assert running.attempt.messages[-1].content == "b1"
    kernel.switch_policy("FIFO:affinity=8")
    assert kernel.policy.name == "fifo:affinity=8"
    running.end()
    assert await served(kernel, core, count=5) == ["b3", "b5", "a2", "a4", "a6"]
    await kernel.stop()


async def test_what_a_core_holds_is_known_from_the_core_too() -> None:
    core = gpu()
    core.loaded = {"b"}
    kernel, _ = await started("fifo:affinity=8", core, tasks=specs("ab"))
    assert await served(kernel, core, count=2) == ["b1", "a0"]
    await kernel.stop()


async def test_a_core_that_unloaded_its_model_has_nothing_to_keep() -> None:
    core = gpu()
    core.loaded = {"b"}
    kernel = make_kernel(core, policy="fifo:affinity=8")
    await kernel.start(paused=True)
    await kernel.submit_many(specs("ab"))
    core.loaded = set()
    await kernel.inspect()
    kernel.resume()
    assert await served(kernel, core, count=2) == ["a0", "b1"]
    await kernel.stop()


async def test_the_default_model_is_what_a_task_without_one_needs() -> None:
    core = gpu()
    kernel = make_kernel(core, policy="fifo:affinity=8")
    await kernel.start(paused=True)
    await kernel.submit_many([*specs("bab"), TaskSpec(prompt="a3")])
    kernel.resume()
    assert await served(kernel, core, count=4) == ["b0", "b2", "a1", "a3"]
    await kernel.stop()


async def test_other_names_of_a_model_are_the_same_model() -> None:
    core = gpu(models=("qwen3:latest", "other"))
    core.aliases = {"qwen3:latest": ("qwen3",)}
    second = GateCore(name="second", models=("third",))
    tasks = [TaskSpec(prompt=model, model=model) for model in ("qwen3:latest", "other", "qwen3")]
    kernel, _ = await started("fifo:affinity=8", core, second, tasks=tasks)
    assert await served(kernel, core, second, count=3) == ["qwen3:latest", "qwen3", "other"]
    await kernel.stop()


# -- one model at a time, and several slots ----------------------------------------------------------------------------


async def two_running(core: GateCore) -> tuple[Running, Running]:
    return await core.next(), await core.next()


async def test_a_swap_waits_until_the_model_that_executes_is_done() -> None:
    core = gpu(slots=2)
    kernel, ids = await started("fifo", core, tasks=specs("aaba"))
    first, second = await two_running(core)
    first.end()
    await kernel.wait(ids[0])
    await idle()
    assert core.begun.empty(), "neither the swap, nor what stands behind it"
    second.end()
    third = await core.next()
    assert third.attempt.task == ids[2]
    await idle()
    assert core.begun.empty(), "the last one needs the first model again"
    third.end()
    assert (await core.next()).attempt.task == ids[3]
    await kernel.stop()


async def test_affinity_fills_a_slot_that_waits_for_a_swap_within_its_bound() -> None:
    core = gpu(slots=2)
    kernel, ids = await started("fifo:affinity=1", core, tasks=specs("aabaa"))
    first, second = await two_running(core)
    first.end()
    third = await core.next()
    assert third.attempt.task == ids[3]
    third.end()
    await kernel.wait(ids[3])
    await idle()
    assert core.begun.empty(), "the bound is reached: the slot waits for the swap"
    second.end()
    assert (await core.next()).attempt.task == ids[2]
    await kernel.stop()


async def test_a_swap_that_waits_holds_up_no_other_core() -> None:
    core, other = gpu(slots=2, models=("a", "b")), GateCore(name="other", models=("c",))
    kernel, ids = await started("fifo", core, other, tasks=specs("aabc"))
    first, _ = await two_running(core)
    first.end()
    running = await other.next()
    assert running.attempt.task == ids[3]
    await idle()
    assert core.begun.empty()
    await kernel.stop()


@pytest.mark.parametrize("by", ["its end", "the core"])
async def test_a_lost_attempt_may_still_execute_so_a_swap_waits_for_it(by: str) -> None:
    core = gpu(slots=2)
    core.stubborn = True
    kernel, ids = await started("fifo", core, tasks=specs("abb"))
    first = await core.next()
    assert await kernel.cancel(ids[0])
    await idle()
    assert not first.stopped and core.begun.empty(), "given up, and it generates still"
    core.stubborn = False
    if by == "its end":
        core.let_go.set()
    else:
        lost, first.slot = first.slot, Slot("lost/0", "lost")  # it executes, on no slot that may be given away
        core.says.put_nowait(SlotEvent("up", lost.id))
    second, third = await two_running(core)
    assert [running.attempt.model for running in (second, third)] == ["b", "b"], "both slots serve again"
    for running in (second, third):
        running.end()
    assert [(await kernel.wait(task)).state for task in ids[1:]] == [TaskState.DONE] * 2
    core.let_go.set()
    await kernel.stop()


@pytest.mark.parametrize("by", ["cancel", "hold", "priority"])
async def test_a_slot_kept_for_a_swap_is_given_on_when_that_is_not_next_any_more(by: str) -> None:
    core = gpu(slots=2)
    kernel, ids = await started("npps", core, tasks=specs("aba"))
    first = await core.next()
    await idle()
    plan = kernel.next_swap()
    assert core.begun.empty() and plan is not None and plan.task == ids[1]
    if by == "cancel":
        assert await kernel.cancel(ids[1])
    elif by == "hold":
        assert kernel.hold(ids[1])
    else:
        assert kernel.reprioritise(ids[2], 0)
    assert (await core.next()).attempt.task == ids[2]
    assert not first.stopped, "the first one still executes"
    await idle()
    plan = kernel.next_swap()
    assert (plan is None) == (by != "priority"), "the announced swap is right again"
    await kernel.stop()


async def test_cancelling_many_tasks_dispatches_once_a_step() -> None:
    core = gpu()
    kernel, ids = await started("fifo", core, tasks=specs("a" * 200))
    await core.next()
    await idle()
    dispatches = 0
    dispatch = kernel.dispatcher._dispatch

    def counted() -> None:
        nonlocal dispatches
        dispatches += 1
        dispatch()

    kernel.dispatcher._dispatch = counted  # type: ignore[method-assign]
    for task in ids[1:]:
        assert kernel.hold(task)
    await idle()
    assert dispatches == 1
    await kernel.stop()


async def test_an_agent_that_names_another_model_waits_for_its_swap_too() -> None:
    """Its task named none, so the slot was given for the default; what it then asks for needs the core alone."""

    async def run(ctx: AgentContext) -> str:
        return (await ctx.llm("mine", model="b")).text

    core = gpu(slots=2)
    kernel = make_kernel(core, policy="fifo", agents=[CodeAgent("own", run)])
    await kernel.start(paused=True)
    await kernel.submit_many([*specs("a"), TaskSpec(prompt="x", agent="own")])
    kernel.resume()
    first = await core.next()
    await idle()
    assert core.begun.empty()
    first.end()
    assert (await core.next()).attempt.model == "b"
    await kernel.stop()


async def test_an_agent_that_names_another_model_keeps_to_the_bound() -> None:
    """Its slot was given for the model that is loaded, so what it asks for may not swap before its turn."""

    async def run(ctx: AgentContext) -> str:
        return (await ctx.llm("b1", model="b")).text

    core = gpu()
    kernel = make_kernel(core, policy="fifo:affinity=5", agents=[CodeAgent("own", run)])
    await kernel.start(paused=True)
    await kernel.submit_many([*specs("a"), TaskSpec(prompt="x", agent="own"), *specs("aa")])
    kernel.resume()
    assert [prompt[0] for prompt in await served(kernel, core, count=4)] == ["a", "a", "a", "b"]
    await kernel.stop()


@pytest.mark.parametrize("policy", ["npps", "npps:affinity=5"])
async def test_a_drain_begins_no_queued_task_while_rounds_go_on(policy: str) -> None:
    """A queued task that is more urgent than the round of a running one still has to wait for the end of the drain."""

    async def run(ctx: AgentContext) -> str:
        await ctx.llm("first")
        return (await ctx.llm("second")).text

    core = gpu()
    kernel = make_kernel(core, policy=policy, agents=[CodeAgent("two", run)])
    await kernel.start()
    running = await kernel.submit(TaskSpec(prompt="x", agent="two", model="a", priority=9))
    first = await core.next()
    queued = await kernel.submit(TaskSpec(prompt="urgent", model="a", priority=0))
    draining = asyncio.create_task(kernel.drain())
    await idle()
    first.end()
    second = await core.next()
    assert (second.attempt.task, second.attempt.messages[-1].content) == (running, "second")
    second.end()
    await asyncio.wait_for(draining, PATIENCE_S)
    assert core.begun.empty() and [task.id for task in kernel.live_tasks()] == [queued]
    await kernel.stop()


async def test_tasks_submitted_before_the_start_wait_for_it() -> None:
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    core = gpu()
    kernel = make_kernel(core, policy="fifo:affinity=5")
    task = await kernel.submit(specs("a")[0])
    await idle()
    assert core.begun.empty()
    await kernel.start()
    (await core.next()).end()
    assert (await kernel.wait(task)).state is TaskState.DONE
    assert errors == []
    await kernel.stop()


# -- announcements ----------------------------------------------------------------------------------------------------


async def test_the_next_swap_is_told() -> None:
    core = gpu()
    kernel, ids = await started("fifo:affinity=2", core, tasks=specs("abaa"))
    subscription = kernel.subscribe()
    planned = []
    for _ in range(4):
        running = await core.next()
        await idle()
        planned.append(kernel.next_swap())
        assert kernel.next_swap("gpu") == planned[-1]
        assert kernel.next_swap() in [*kernel.snapshot(), None]
        running.end()
        await kernel.wait(running.attempt.task)
    reported = [(plan.from_model, plan.to_model, plan.task, plan.passes_left) if plan else None for plan in planned]
    assert reported == [("a", "b", ids[1], 2), ("a", "b", ids[1], 1), ("a", "b", ids[1], 0), None]
    events = [event for event in subscription.drain() if isinstance(event, SwapPlanned | ModelSwapped)]
    lefts = [(event.to_model, event.passes_left) for event in events if isinstance(event, SwapPlanned)]
    assert lefts == [("b", 2), ("b", 1), ("b", 0), ("", 0)]
    swaps = [(event.from_model, event.to_model, event.task) for event in events if isinstance(event, ModelSwapped)]
    assert swaps == [("a", "b", ids[1])]
    await kernel.stop()


async def test_the_moment_by_which_a_swap_comes_is_told() -> None:
    core = gpu()
    kernel, _ = await started("fifo:affinity_s=3600", core, tasks=specs("abaa"))
    (await core.next()).end()
    await core.next()
    await idle()
    plan = kernel.next_swap()
    assert plan is not None and plan.passes_left is None and plan.until is not None
    assert 3500 < plan.until - kernel.now() <= 3600
    await kernel.stop()


async def test_nothing_is_lost_or_repeated_when_models_change_all_the_time() -> None:
    one, two = gpu(slots=2, name="one", models=("a", "b")), gpu(slots=1, name="two", models=("b", "c"))
    kernel = make_kernel(one, two, policy="npps:affinity=3")
    await kernel.start()
    subscription = kernel.subscribe()
    executing: dict[str, set[str]] = {"one": set(), "two": set()}

    async def serve(core: GateCore) -> None:
        while True:
            running = await core.begun.get()
            model = running.attempt.model or ""
            executing[core.name].add(model)
            assert executing[core.name] == {model}, "two models at once where there is room for one"
            await asyncio.sleep(0)
            if not any(other is not running and other.attempt.model == model for other in core.running):
                executing[core.name].discard(model)
            running.end()

    servers = [asyncio.create_task(serve(core)) for core in (one, two)]
    ids = await kernel.submit_many(specs("abcbacbbca" * 30, "5152535455" * 30))
    ended = [event.task for event in await seen(subscription, TaskEnded, len(ids)) if isinstance(event, TaskEnded)]
    assert sorted(ended) == ids
    for server in servers:
        assert not server.done(), server.exception()
        server.cancel()
    await kernel.stop()


async def test_a_core_that_never_said_what_it_has_is_waited_for() -> None:
    """A name that no core is known to have may be one of a core that has been down since the start."""
    up, down = GateCore(name="up", models=("a",)), GateCore(name="down", models=("b",))
    down.healthy = False
    kernel = make_kernel(up, down)
    subscription = kernel.subscribe()
    await kernel.start()
    down.says.put_nowait(SlotEvent("down", None, "not there"))
    await seen(subscription, CoreChanged, 3)
    task = await kernel.submit(TaskSpec(prompt="p", model="b"))
    await idle()
    assert up.begun.empty() and down.begun.empty()
    down.healthy = True
    down.says.put_nowait(SlotEvent("up"))
    (await down.next()).end()
    assert (await kernel.wait(task)).core == "down"
    await kernel.stop()


async def test_a_name_that_a_core_refuses_is_no_reason_to_empty_it() -> None:
    core = gpu(slots=2)
    kernel, ids = await started("fifo", core, tasks=[*specs("a"), TaskSpec(prompt="typo", model="aa")])
    await two_running(core)
    await idle()
    assert kernel.running_count == len(ids), "nothing is loaded for a name that the core does not have"
    assert kernel.dispatcher.slots.models["gpu"].held == {"a"}
    await kernel.stop()


async def test_a_core_is_looked_at_when_it_may_have_let_a_model_go() -> None:
    """It holds two of three models, and only it knows which one went for the third."""
    core = GateCore(models=("a", "b", "c"))
    core.loaded = {"a", "b"}
    kernel = make_kernel(core, policy="fifo:affinity=8")
    await kernel.start()
    task = await kernel.submit(specs("c")[0])
    running = await core.next()
    core.loaded = {"b", "c"}
    subscription = kernel.subscribe()
    running.end()
    await kernel.wait(task)
    await seen(subscription, CoreChanged)
    kernel.pause()
    await kernel.submit_many(specs("acb"))
    kernel.resume()
    assert await served(kernel, core, count=3) == ["c1", "b2", "a0"]
    await kernel.stop()


async def test_a_look_while_a_model_is_being_loaded_does_not_mistake_what_the_core_holds() -> None:
    core = gpu()
    core.loaded = {"a"}
    kernel, ids = await started("fifo", core, tasks=specs("ba"))
    await core.next()
    await kernel.inspect()  # the core has not let go of the first model yet
    await idle()
    plan = kernel.next_swap()
    assert plan is not None and (plan.from_model, plan.to_model, plan.task) == ("b", "a", ids[1])
    await kernel.stop()
