"""The reducer beside a real kernel: whatever is done to it, the view agrees with it."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aios_tui.console.state.reducer import fold_all, resync
from aios_tui.console.state.view_state import ViewState
from engine.agents.catalogue import load_catalogue
from engine.cores.port import Chunk
from engine.cores.scripted import ScriptedCore
from engine.kernel import Kernel, KernelConfig
from engine.scheduling import parse_policy
from engine.store import MemoryStore
from engine.task import TaskSpec, TaskState
from tests.engine.kernel.helpers import GateCore, make_kernel
from tests.profiles import examples
from tests.waiting import PATIENCE_S

CATALOGUE = load_catalogue(None)[0]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 9), st.sampled_from(["chat", "story_teller"])),
        st.tuples(st.just("cancel"), st.integers(1, 12), st.just("")),
        st.tuples(st.just("reprioritise"), st.integers(1, 12), st.sampled_from("0379")),
        st.tuples(st.sampled_from(["hold", "release"]), st.integers(1, 12), st.just("")),
        st.tuples(st.just("policy"), st.just(0), st.sampled_from(["fifo", "npps", "npps:ageing=5"])),
        st.tuples(st.just("pause"), st.just(0), st.just("")),
        st.tuples(st.just("resume"), st.just(0), st.just("")),
        st.tuples(st.just("breathe"), st.integers(1, 30), st.just("")),
    ),
    min_size=4,
    max_size=40,
)


def counted(state: ViewState, kernel: Kernel) -> None:
    assert (state.running, state.queued) == (kernel.running_count, kernel.queued_count)
    assert state.kernel is kernel.state
    assert state.policy == kernel.policy.name
    slots = [slot.task for slot in state.slots.values() if slot.task is not None]
    assert set(slots) <= set(state.tasks)
    for task in state.tasks.values():
        assert task.executing == slots.count(task.id)
        assert (task.id in state.order) == bool(task.waiting)


def essence(state: ViewState) -> object:
    """Return the facts on which live folding and a snapshot must agree."""
    return (
        {
            task.id: (task.state, task.priority, task.arrival, task.started_at, task.round_total, task.held)
            for task in state.tasks.values()
        },
        [id_ for id_ in state.order if state.tasks[id_].state is TaskState.QUEUED],
        {id_: (slot.task, slot.round, slot.attempt, slot.text) for id_, slot in state.slots.items() if slot.task},
        state.policy,
        state.kernel,
        state.running,
    )


async def walk(steps: list[tuple[str, int, str]]) -> None:
    core = ScriptedCore.parse("seed=3,ttft=0,tps=0,tokens=6,fail=0.2,slots=2")
    kernel = Kernel(
        cores=[core],
        store=MemoryStore(),
        agents=CATALOGUE,
        policy=parse_policy("npps"),
        config=KernelConfig(backoff_s=0.001, backoff_max_s=0.002),
    )
    await kernel.start()
    subscription = kernel.subscribe()
    state = resync(ViewState(), kernel.snapshot())
    try:
        for what, number, word in steps:
            match what:
                case "submit":
                    await kernel.submit(TaskSpec(prompt=f"p{number}", agent=word, priority=number))
                case "cancel":
                    await kernel.cancel(number)
                case "reprioritise":
                    kernel.reprioritise(number, int(word))
                case "hold":
                    kernel.hold(number)
                case "release":
                    kernel.release(number)
                case "policy":
                    kernel.switch_policy(word)
                case "pause":
                    kernel.pause()
                case "resume":
                    kernel.resume()
                case _:
                    for _ in range(number):
                        await asyncio.sleep(0)
            fold_all(state, subscription.drain())
            counted(state, kernel)
            snapshot = resync(ViewState(), kernel.snapshot())
            assert essence(snapshot) == essence(state)
            for task in state.tasks.values():  # a round that may still get a slot in this turn is not announced yet
                assert task.waiting.items() <= snapshot.tasks[task.id].waiting.items()
        kernel.resume()
        for number in list(state.tasks):
            kernel.release(number)
        fold_all(state, subscription.drain())
        while state.tasks:
            await asyncio.wait_for(subscription.wait(), PATIENCE_S)
            fold_all(state, subscription.drain())
        counted(state, kernel)
        ended = state.counts.done + state.counts.failed + state.counts.cancelled
        assert ended == len(state.results) == sum(1 for step in steps if step[0] == "submit")
        assert all(slot.task is None for slot in state.slots.values())
    finally:
        await kernel.stop()


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_the_view_agrees_with_the_kernel_whatever_is_done(steps: list[tuple[str, int, str]]) -> None:
    asyncio.run(walk(steps))


async def test_a_resync_in_the_middle_of_an_attempt_shows_its_thinking_and_its_text() -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    try:
        live = resync(ViewState(), kernel.snapshot())
        events = kernel.subscribe()
        await kernel.submit(TaskSpec(prompt="x"))
        running = await core.next()
        running.pieces.put_nowait(Chunk("thinking", "A goose, then."))
        running.say("Once upon")
        while not live.slots["gate/0"].text:
            await asyncio.wait_for(events.wait(), PATIENCE_S)
            fold_all(live, events.drain())
        late = resync(ViewState(), kernel.snapshot()).slots["gate/0"]
        assert late.thinking == live.slots["gate/0"].thinking == "A goose, then."
        assert late.text == live.slots["gate/0"].text == "Once upon"
        running.end()
    finally:
        await kernel.stop()
