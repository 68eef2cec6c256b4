"""Live replays: what arrives when, what is measured, and that live and virtual replays dispatch alike."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engine.agents.catalogue import load_catalogue
from engine.cores.port import Core
from engine.cores.scripted import ScriptedCore
from engine.errors import KernelClosed, UsageError
from engine.kernel import Kernel
from engine.replay.inputs import build_input
from engine.replay.live import LiveReplay
from engine.replay.live_results import Progress
from engine.replay.metrics import measure
from engine.replay.simulate import simulate
from engine.replay.synthetic_prompt import synthetic_prompt
from engine.scheduling import parse_policy
from engine.store import MemoryStore
from engine.task import TaskState
from engine.workloads import samples
from engine.workloads.format import ControlRow, Defaults, Item, TaskRow, WorkloadHeader
from engine.workloads.reader import Workload, load
from tests.engine.kernel.helpers import GateCore
from tests.engine.replay.helpers import compare_order
from tests.waiting import PATIENCE_S

PRIORITIES = (5, 0, 9, 3, 3, 7, 1, 5, 8, 0, 2, 6)


@asynccontextmanager
async def running(core: Core, policy: str = "fifo") -> AsyncIterator[Kernel]:
    kernel = Kernel(cores=[core], store=MemoryStore(), agents=load_catalogue(None)[0], policy=parse_policy(policy))
    await kernel.start()
    try:
        yield kernel
    finally:
        await kernel.stop()


def workload(*items: Item, defaults: Defaults | None = None) -> Workload:
    return Workload(WorkloadHeader(defaults=defaults or Defaults()), items, "test.jsonl")


def mixed() -> Workload:
    agents = ("chat", "story_teller", "translate")
    rows = [
        TaskRow(id=f"t{n}", agent=agents[n % 3], prompt=f"task {n}", priority=priority, client="ab"[n % 2])
        for n, priority in enumerate(PRIORITIES, start=1)
    ]
    return workload(*rows)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize("policy", ["fifo", "npps", "npps:ageing=5"])
async def test_live_and_virtual_dispatch_in_the_same_order(policy: str) -> None:
    given, catalogue = mixed(), load_catalogue(None)[0]
    async with running(ScriptedCore.parse("ttft=0,tps=0,tokens=3"), policy) as kernel:
        live = await LiveReplay(kernel, given).run()
    made = build_input(given.items, rounds_of=lambda name: catalogue.get(name).round_total)
    virtual = simulate(made.tasks, parse_policy(policy))
    assert compare_order(live, virtual) is None
    assert len(live.order) == len(PRIORITIES)
    found = measure(live)
    assert (found.done, found.failed, found.kind, found.policy) == (12, 0, "live", policy)
    assert (found.inversions == 0) == (policy != "fifo")
    assert {name: group.n for name, group in found.by_client.items()} == {"a": 6, "b": 6}
    assert found.overall.ttft is not None
    assert found.overall.ttft.n == 12


async def test_the_samples_priorities_are_at_work() -> None:
    with samples.path_of(samples.get("aios-five")) as path:
        given = load(path)
    orders = {}
    for policy in ("fifo", "npps"):
        async with running(ScriptedCore.parse("ttft=0,tps=0,tokens=3"), policy) as kernel:
            run = await LiveReplay(kernel, given).run()
            orders[policy] = [run.tasks.id(index) for index in run.order]
    assert orders == {"fifo": ["t1", "t2", "t3", "t4", "t5"], "npps": ["t5", "t3", "t2", "t1", "t4"]}


async def test_tasks_arrive_at_their_offsets_over_the_speed() -> None:
    given = workload(*(TaskRow(id=f"t{n}", at=n * 2.0, prompt="x") for n in range(4)))
    async with running(ScriptedCore.parse("ttft=0,tps=0")) as kernel:
        run = await LiveReplay(kernel, given, speed=100.0).run()
    for index, at in enumerate(run.tasks.at):
        assert at >= index * 0.02
        assert run.start[index] >= at
        assert run.end[index] >= run.start[index]


async def test_at_infinite_speed_all_is_sent_at_once_and_switches_are_made_in_order() -> None:
    core = GateCore()
    given = workload(
        TaskRow(id="a", prompt="a", priority=9),
        TaskRow(id="b", at=1e6, prompt="b", priority=9),
        ControlRow(at=2e6, policy="npps"),
        TaskRow(id="c", at=3e6, prompt="c", priority=0),
    )
    async with running(core) as kernel:
        replay = LiveReplay(kernel, given, speed=math.inf)
        assert replay.result().note == "live at speed max"
        task = asyncio.create_task(replay.run())
        await until(lambda: replay.progress.sent == 3)
        assert replay.progress.position == 3e6
        for _ in range(3):
            (await core.next()).end()
        run = await task
    assert [run.tasks.id(index) for index in run.order] == ["a", "c", "b"]
    assert [policy for _, policy in run.switches] == ["npps"]
    assert run.policy == "fifo"


async def test_switches_of_the_file_can_be_left_out() -> None:
    given = workload(ControlRow(at=0.0, policy="npps"), TaskRow(prompt="x"))
    async with running(ScriptedCore.parse("ttft=0,tps=0")) as kernel:
        assert (await LiveReplay(kernel, given, switches=False).run()).switches == ()
        assert kernel.policy.name == "fifo"


async def test_pause_step_and_resume() -> None:
    given = workload(
        *(TaskRow(id=f"t{n}", at=n * 1000.0, prompt="x") for n in range(3)), TaskRow(at=2000.0, prompt="y")
    )
    reported: list[Progress] = []
    async with running(ScriptedCore.parse("ttft=0,tps=0")) as kernel:
        replay = LiveReplay(kernel, given, on_progress=reported.append)
        replay.pause()
        task = asyncio.create_task(replay.run())
        await asyncio.sleep(0)
        assert replay.progress == Progress(0.0, 4, 0, 0, 0, 0, paused=True)
        replay.step()
        await until(lambda: replay.progress.done == 1)
        assert (replay.progress.sent, replay.progress.position) == (1, 0.0)
        replay.step()
        await until(lambda: replay.progress.done == 2)
        assert (replay.progress.sent, replay.progress.position) == (2, 1000.0)
        replay.resume()
        assert not replay.progress.paused
        replay.speed = math.inf
        run = await task
    assert list(run.order) == [0, 1, 2, 3]
    assert (reported[-1].done, reported[-1].ended, reported[-1].sent) == (4, 4, 4)


async def test_stop_returns_what_was_measured_so_far() -> None:
    core = GateCore()
    given = workload(*(TaskRow(id=f"t{n}", prompt="x") for n in range(3)), TaskRow(at=1e6, prompt="later"))
    async with running(core) as kernel:
        replay = LiveReplay(kernel, given)
        task = asyncio.create_task(replay.run())
        (await core.next()).end()
        await core.next()
        await until(lambda: replay.progress.started == 2)
        replay.stop()
        run = await task
        assert len(replay.task_ids) == 3
    found = measure(run)
    assert (found.n, found.done, len(run.order)) == (3, 1, 2)
    assert math.isnan(run.end[1])
    assert math.isnan(run.start[2])


async def test_a_kernel_that_stops_ends_the_replay() -> None:
    core = GateCore()
    given = workload(TaskRow(prompt="x"), TaskRow(at=1e6, prompt="later"))
    async with running(core) as kernel:
        replay = LiveReplay(kernel, given)
        task = asyncio.create_task(replay.run())
        await core.next()
        await until(lambda: replay.progress.started == 1)
        await kernel.stop()
        async with asyncio.timeout(PATIENCE_S):
            assert measure(await task).done == 0
        with pytest.raises(KernelClosed):
            await LiveReplay(kernel, given).run()


async def test_a_failed_task_is_counted_and_the_rest_goes_on() -> None:
    given = workload(*(TaskRow(id=f"t{n}", prompt=f"x{n}") for n in range(4)))
    async with running(ScriptedCore.parse("ttft=0,tps=0,fail=1")) as kernel:
        run = await LiveReplay(kernel, given).run()
    found = measure(run)
    assert (found.done, found.failed, run.failed) == (0, 4, frozenset(range(4)))


async def test_an_unknown_agent_is_a_usage_error() -> None:
    async with running(ScriptedCore.parse("ttft=0")) as kernel:
        with pytest.raises(UsageError, match="unknown agent 'nobody'"):
            await LiveReplay(kernel, workload(TaskRow(prompt="x", agent="nobody"))).run()


async def test_a_row_of_counts_sends_a_prompt_of_that_length_and_caps_the_reply() -> None:
    core = GateCore()
    given = workload(
        TaskRow(id="a", input_tokens=374, output_tokens=44), TaskRow(id="b", input_tokens=0, output_tokens=0)
    )
    async with running(core) as kernel:
        task = asyncio.create_task(LiveReplay(kernel, given).run())
        seen = []
        for _ in range(2):
            attempt = await core.next()
            seen.append((len(attempt.attempt.messages[-1].content.split()), attempt.attempt.options.max_tokens))
            attempt.end()
        await task
    assert seen[0] == (373, 44)
    assert seen[1] == (len(synthetic_prompt(0).split()), 1)


async def test_made_up_prompts_can_be_kept_short() -> None:
    core = GateCore()
    given = workload(
        TaskRow(id="a", input_tokens=9000), TaskRow(id="b", input_tokens=50), TaskRow(id="c", prompt="x " * 500)
    )
    async with running(core) as kernel:
        task = asyncio.create_task(LiveReplay(kernel, given, longest_prompt=100).run())
        lengths = []
        for _ in range(3):
            attempt = await core.next()
            lengths.append(len(attempt.attempt.messages[-1].content.split()))
            attempt.end()
        run = await task
    assert lengths == [99, 49, 500], "what people wrote is sent as it is"
    assert len(run.order) == 3


async def test_a_change_is_made_to_every_task() -> None:
    core = GateCore(models=("gate", "other"))
    given = workload(TaskRow(prompt="x", model="GPT-4"))
    async with running(core) as kernel:
        replay = LiveReplay(kernel, given, change=lambda spec: spec.model_copy(update={"model": "other"}))
        task = asyncio.create_task(replay.run())
        attempt = await core.next()
        assert attempt.attempt.model == "other"
        attempt.end()
        await task


async def test_other_tasks_of_the_kernel_do_not_count() -> None:
    core = GateCore()
    async with running(core) as kernel:
        spec = TaskRow(prompt="mine").spec(Defaults())
        own = await kernel.submit(spec)
        (await core.next()).end()
        assert (await kernel.wait(own)).state is TaskState.DONE
        other = await kernel.submit(spec)
        task = asyncio.create_task(LiveReplay(kernel, workload(TaskRow(id="a", prompt="x"))).run())
        for _ in range(2):
            (await core.next()).end()
        run = await task
        await kernel.wait(other)
    assert (len(run.tasks), list(run.order), run.tasks.ids) == (1, [0], ["a"])


async def test_events_that_were_lost_are_made_up_for() -> None:
    """With room for one event only, a replay has to ask the kernel what became of its tasks."""
    given = mixed()
    async with running(ScriptedCore.parse("ttft=0,tps=0,tokens=3"), "npps") as kernel:
        subscribe = kernel.subscribe
        kernel.subscribe = lambda *, capacity=1: subscribe(capacity=1)  # type: ignore[method-assign]
        async with asyncio.timeout(PATIENCE_S):
            run = await LiveReplay(kernel, given).run()
    assert measure(run).done == len(PRIORITIES)
    made = build_input(replace(given).items, rounds_of=lambda name: load_catalogue(None)[0].get(name).round_total)
    assert compare_order(run, simulate(made.tasks, parse_policy("npps"))) is None
