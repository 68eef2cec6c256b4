"""Cancelling tasks in each state: each stops at the model, and its slot is free again."""

from __future__ import annotations

import asyncio

from engine.agents.protocol import AgentContext
from engine.events import (
    TaskEnded,
)
from engine.task import AttemptState, TaskSpec, TaskState
from tests.engine.kernel.helpers import (
    CodeAgent,
    GateCore,
    Trace,
    begin,
    idle,
    make_kernel,
    within,
)


async def test_cancelling_a_queued_task() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await begin(kernel, core)
    queued = await kernel.submit(TaskSpec(prompt="q"))
    waiting = asyncio.create_task(kernel.wait(queued))
    assert await kernel.cancel(queued, "not needed any more")
    final = await waiting
    assert (final.state, final.error, final.started_at) == (TaskState.CANCELLED, "not needed any more", None)
    assert not await kernel.cancel(queued)
    assert not await kernel.cancel(999)
    assert len(store.of(TaskEnded)) == 1
    await kernel.stop()


async def test_cancelling_a_running_task_stops_it_at_the_model() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    task, running = await begin(kernel, core)
    other = await kernel.submit(TaskSpec(prompt="other"))
    running.say("so f")
    assert await kernel.cancel(task)
    assert running.stopped
    final = await kernel.wait(task)
    assert (final.state, final.error) == (TaskState.CANCELLED, "cancelled by the operator")
    assert [end.state for end in store.attempts()] == [AttemptState.CANCELLED]
    (await core.next()).end()
    assert (await kernel.wait(other)).state is TaskState.DONE
    await kernel.stop()


async def test_cancelling_a_task_in_the_step_it_starts_in() -> None:
    core, store = GateCore(), Trace()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    for steps in range(6):
        task = await kernel.submit(TaskSpec(prompt="p"))
        for _ in range(steps):
            await asyncio.sleep(0)
        assert await within(kernel.cancel(task))
        assert idle(kernel), f"after {steps} steps"
    assert len(store.of(TaskEnded)) == 6
    await kernel.stop()


async def test_cancelling_a_task_whose_next_round_is_ready() -> None:
    core = GateCore()
    kernel = make_kernel(core, policy="npps")
    await kernel.start()
    story = await kernel.submit(TaskSpec(prompt="s", agent="story_teller"))
    first = await core.next()
    urgent = await kernel.submit(TaskSpec(prompt="u", priority=0))
    first.end()
    second = await core.next()
    assert second.attempt.task == urgent
    assert await kernel.cancel(story)
    second.end()
    assert (await kernel.wait(urgent)).state is TaskState.DONE
    assert idle(kernel)
    await kernel.stop()


async def test_cancelling_a_task_in_the_step_in_which_its_next_round_gets_a_slot() -> None:
    core = GateCore()
    kernel = make_kernel(core, policy="npps")
    await kernel.start()
    story = await kernel.submit(TaskSpec(prompt="s", agent="story_teller"))
    first = await core.next()
    urgent = await kernel.submit(TaskSpec(prompt="u", priority=0))
    first.end()
    second = await core.next()
    kernel.pause()
    second.end()
    await kernel.wait(urgent)
    cancelling = asyncio.create_task(kernel.cancel(story))
    kernel.resume()  # the slot is granted after the cancellation began, and before the agent hears of it
    assert await within(cancelling)
    assert idle(kernel) and core.begun.empty()
    other = await kernel.submit(TaskSpec(prompt="o"))
    (await core.next()).end()
    assert (await within(kernel.wait(other))).state is TaskState.DONE
    await kernel.stop()


async def test_an_agent_that_swallows_its_cancellation_gets_no_further_round() -> None:
    core = GateCore()

    async def stubborn(ctx: AgentContext) -> str:
        try:
            await ctx.llm("one")
        except asyncio.CancelledError:
            await ctx.llm("two")
        return "never"

    kernel = make_kernel(core, agents=[CodeAgent("stubborn", stubborn)])
    task, _ = await begin(kernel, core, agent="stubborn")
    assert await kernel.cancel(task)
    assert core.begun.empty()
    assert idle(kernel)
    await kernel.stop()
