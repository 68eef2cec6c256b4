"""An operator's actions, recorded and replayed: priorities, cancels, pauses."""

from __future__ import annotations

import asyncio
import random
from array import array
from bisect import bisect_right
from pathlib import Path

import pytest

from engine.events import AttemptEnded, TaskStarted
from engine.kernel import Kernel
from engine.replay.inputs import build_input
from engine.replay.live import LiveReplay
from engine.replay.metrics import measure
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import OperatorAction, Run, TaskColumns
from engine.scheduling import parse_policy
from engine.task import TaskSpec
from engine.workloads.format import ControlRow, Item, TaskRow, WorkloadHeader
from engine.workloads.reader import Workload, load
from engine.workloads.recorder import Recorder
from tests.engine.kernel.helpers import GateCore, make_kernel
from tests.engine.replay.helpers import compare_order
from tests.waiting import PATIENCE_S


def five(*actions: OperatorAction, policy: str = "npps", slots: int = 1, rounds: bool = False) -> Run:
    """Five tasks of 2 s, priority 5, at 0, 1, 2, 3, 4."""
    tasks = TaskColumns(array("d", range(5)), array("b", [5] * 5), array("d", [2.0] * 5))
    if rounds:
        tasks.rounds = array("H", [2] * 5)
    return simulate(tasks, parse_policy(policy), Capacity(slots), actions=actions)


def test_a_priority_changed_on_the_way_counts_from_then_on() -> None:
    run = five(OperatorAction(4.5, "priority", 4, 0))
    assert list(run.order) == [0, 1, 2, 4, 3]
    assert list(run.start) == [0, 2, 4, 8, 6]
    assert list(run.end) == [2, 4, 6, 10, 8]
    assert list(run.tasks.priority) == [5, 5, 5, 5, 0]
    assert list(five(OperatorAction(4.5, "priority", 4, 0), policy="fifo").order) == [0, 1, 2, 3, 4]


def test_cancelled_while_queued_it_never_starts_and_while_running_its_slot_is_free_at_once() -> None:
    run = five(OperatorAction(3.0, "cancel", 1), OperatorAction(3.0, "cancel", 2), OperatorAction(30.0, "cancel", 0))
    assert list(run.order) == [0, 1, 3, 4]
    assert list(run.start)[3:] == [3, 5]
    assert run.start[2] != run.start[2]
    assert (run.end[1], run.end[2], run.service[1], run.service[2]) == (3, 3, 1, 0)
    assert run.failed == {1, 2}
    found = measure(run)
    assert (found.done, found.failed, found.utilisation) == (3, 2, 1.0)


def test_cancelled_between_its_rounds_and_in_its_second_one() -> None:
    run = five(OperatorAction(2.5, "cancel", 1), rounds=True, policy="fifo")
    assert (run.end[0], run.start[1], run.end[1], run.service[1]) == (2, 2, 2.5, 0.5)
    again = five(OperatorAction(1.5, "cancel", 0), rounds=True, policy="fifo")
    assert (again.end[0], again.service[0], again.start[1]) == (1.5, 1.5, 1.5)


def test_runs_share_their_tasks_and_do_not_change_them() -> None:
    tasks = TaskColumns(array("d", [0.0, 0.0]), array("b", [5, 5]), array("d", [1.0, 1.0]))
    simulate(
        tasks, parse_policy("npps"), actions=[OperatorAction(0.0, "priority", 1, 0), OperatorAction(0.5, "cancel", 1)]
    )
    assert (list(tasks.priority), list(tasks.service)) == ([5, 5], [1.0, 1.0])


def test_paused_nothing_is_dispatched_and_a_pause_that_nobody_ends_ends_by_itself() -> None:
    run = five(OperatorAction(1.0, "pause"), OperatorAction(7.5, "resume"))
    assert list(run.start) == [0, 7.5, 9.5, 11.5, 13.5]
    assert list(five(OperatorAction(0.0, "pause")).start) == [4, 6, 8, 10, 12]
    together = five(OperatorAction(0.0, "pause"), OperatorAction(4.0, "priority", 4, 0))
    assert list(together.order) == [4, 0, 1, 2, 3]


def test_what_is_held_waits_and_keeps_its_place() -> None:
    run = five(OperatorAction(1.0, "hold", 1), OperatorAction(1.5, "hold", 0), OperatorAction(5.5, "release", 1))
    assert list(run.order) == [0, 2, 3, 1, 4], "one that runs can't be held"
    assert list(run.start) == [0, 6, 2, 4, 8]
    assert list(five(OperatorAction(1.0, "hold", 1)).order) == [0, 2, 3, 4, 1], "let go when nothing else is left"
    urgent = five(
        OperatorAction(1.0, "hold", 1),
        OperatorAction(1.0, "hold", 1),
        OperatorAction(3.0, "priority", 1, 0),
        OperatorAction(4.5, "release", 1),
    )
    assert list(urgent.order) == [0, 2, 3, 1, 4]
    gone = five(OperatorAction(1.0, "hold", 1), OperatorAction(3.0, "cancel", 1), OperatorAction(4.0, "release", 1))
    assert (list(gone.order), list(gone.failed), gone.service[1]) == ([0, 2, 3, 4], [1], 0.0)
    paused = five(
        OperatorAction(0.0, "pause"),
        OperatorAction(1.0, "hold", 1),
        OperatorAction(30.0, "resume"),
        OperatorAction(31.0, "release", 1),
    )
    assert list(paused.start) == [30, 32, 34, 36, 38]


def test_actions_on_tasks_that_are_over_or_still_to_come_do_nothing() -> None:
    assert list(five(OperatorAction(0.0, "cancel", 3), OperatorAction(9.9, "priority", 0, 0)).order) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(20))
def test_without_actions_the_general_loop_does_as_the_plain_one(seed: int) -> None:
    rng = random.Random(seed)
    at = sorted(rng.choice((0, 1, 2.5, 3, 7, 7.25)) for _ in range(30))
    tasks = TaskColumns(
        array("d", at), array("b", rng.choices(range(10), k=30)), array("d", rng.choices((0, 0.5, 1, 2), k=30))
    )
    policy = parse_policy(rng.choice(("fifo", "npps", "npps:ageing=2")))
    capacity = Capacity(rng.randint(1, 3))
    plain = simulate(tasks, policy, capacity)
    general = simulate(tasks, policy, capacity, actions=[OperatorAction(1e6, "resume")])
    assert (plain.start, plain.end, plain.order) == (general.start, general.end, general.order)


def test_controls_find_their_tasks_wherever_they_stand() -> None:
    items: list[Item] = [
        ControlRow(at=2.0, op="cancel", task="b"),
        TaskRow(id="b", at=1.0, service=9),
        TaskRow(id="a", at=0.0, service=1),
        ControlRow(at=1.5, op="priority", task="nobody", priority=1),
        ControlRow(at=0.5, op="pause"),
    ]
    made = build_input(items)
    assert made.actions == [OperatorAction(0.5, "pause"), OperatorAction(2.0, "cancel", 1)]
    assert made.strays == 1


Spans = dict[str, tuple[float, float]]


async def runtime(folder: Path, seed: int) -> tuple[Workload, Spans]:
    """A session with a busy operator, recorded: the workload, and when each task was dispatched and freed its slot."""
    rng = random.Random(seed)
    core = GateCore()
    kernel = make_kernel(core, policy=rng.choice(("fifo", "npps")))
    await kernel.start(paused=rng.random() < 0.3)
    subscription = kernel.subscribe()
    path = folder / f"{seed}.jsonl"
    begun = kernel.now()
    recorder = Recorder(path, begun, policy=kernel.policy.name, paused=kernel.state == "paused")
    ids: list[int] = []

    async def one_ends() -> None:
        if core.running:
            core.running[0].end()
            await quiet(kernel, core)

    for _ in range(40):
        await quiet(kernel, core)
        actions = (
            "submit",
            "submit",
            "many",
            "priority",
            "cancel",
            "hold",
            "release",
            "pause",
            "resume",
            "policy",
            "end",
        )
        match rng.choice(actions):
            case "submit":
                ids.append(await kernel.submit(TaskSpec(prompt="x", priority=rng.randint(0, 9))))
            case "many":
                ids += await kernel.submit_many([TaskSpec(prompt="y", priority=rng.randint(0, 9)) for _ in range(3)])
            case "priority" if ids:
                kernel.reprioritise(rng.choice(ids), rng.randint(0, 9))
            case "cancel" if ids:
                await kernel.cancel(rng.choice(ids))
            case "hold" if ids:
                kernel.hold(rng.choice(ids))
            case "release" if ids:
                kernel.release(rng.choice(ids))
            case "pause":
                kernel.pause()
            case "resume":
                kernel.resume()
            case "policy":
                kernel.switch_policy(rng.choice(("fifo", "npps")))
            case _:
                await one_ends()
    kernel.resume()
    for id_ in ids:
        kernel.release(id_)
        await quiet(kernel, core)
    while core.running:
        await one_ends()
    events = subscription.drain()
    recorder.feed(events)
    recorder.close()
    await kernel.stop()
    starts = {event.task: event.at - begun for event in events if isinstance(event, TaskStarted)}
    ends = {event.task: event.at - begun for event in events if isinstance(event, AttemptEnded)}
    return load(path), {f"t{task}": (at, ends[task]) for task, at in starts.items()}


async def quiet(kernel: Kernel, core: GateCore) -> None:
    """Until all that can run runs, and the clock has gone on, so that moments differ."""
    before = kernel.now()
    async with asyncio.timeout(PATIENCE_S):
        while kernel.now() - before < 2e-6 or not (
            core.running
            or all(task.held for task in kernel.live_tasks())
            or kernel.state == "paused"
            or kernel.state == "draining"
        ):
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(12))
async def test_a_recorded_session_replays_to_the_same_order(tmp_path: Path, seed: int) -> None:
    workload, spans = await runtime(tmp_path, seed)
    made = build_input(workload.items)
    assert made.strays == 0
    # How long each execution took is not in a workload: service times are made so that each ends when it did.
    begins = {item.at for item in workload.items if isinstance(item, TaskRow) or item.op in ("resume", "release")}
    moments = sorted({0.0} | begins | {end for _, end in spans.values()})
    tasks = made.tasks
    for place in range(len(tasks)):
        start, end = spans.get(tasks.id(place), (0.0, 0.0))
        tasks.service[place] = end - moments[bisect_right(moments, start + 1e-6) - 1]
    run = simulate(tasks, parse_policy("fifo"), switches=made.switches, actions=made.actions)
    assert [tasks.id(place) for place in run.order] == list(spans)
    assert len(run.order) > 3


async def test_live_and_virtual_do_the_same_with_the_same_controls() -> None:
    items: tuple[Item, ...] = (
        ControlRow(at=0.0, op="pause"),
        *(TaskRow(id=f"t{n}", at=0.0, prompt="x", priority=5) for n in range(6)),
        ControlRow(at=1.0, op="priority", task="t4", priority=1),
        ControlRow(at=2.0, op="cancel", task="t1"),
        ControlRow(at=3.0, policy="npps"),
        TaskRow(id="late", at=4.0, prompt="x", priority=3),
        ControlRow(at=5.0, op="resume"),
    )
    given = Workload(WorkloadHeader(), items, "w.jsonl")
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    replay = LiveReplay(kernel, given, speed=1e4)
    playing = asyncio.create_task(replay.run())
    for _ in range(6):
        (await core.next()).end()
    live = await playing
    await kernel.stop()
    made = build_input(items)
    virtual = simulate(made.tasks, parse_policy("fifo"), switches=made.switches, actions=made.actions)
    assert [live.tasks.id(place) for place in live.order] == ["t4", "late", "t0", "t2", "t3", "t5"]
    assert compare_order(live, virtual) is None
    assert measure(live).inversions == measure(virtual).inversions == 0
    assert live.failed == virtual.failed == {1}
    assert kernel.policy.name == "npps"


async def test_a_pause_that_the_workload_does_not_end_holds_nothing_for_ever() -> None:
    given = Workload(WorkloadHeader(), (ControlRow(at=0.0, op="pause"), TaskRow(id="a", prompt="x")), "w.jsonl")
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    playing = asyncio.create_task(LiveReplay(kernel, given).run())
    (await core.next()).end()
    assert measure(await playing).done == 1
    await kernel.stop()


async def test_what_the_workload_holds_is_held_live_and_let_go_at_the_end() -> None:
    items: tuple[Item, ...] = (
        ControlRow(at=0.0, op="pause"),
        *(TaskRow(id=name, at=0.0, prompt=name) for name in "abcd"),
        *(ControlRow(at=1.0, op="hold", task=name) for name in "abd"),
        ControlRow(at=2.0, op="release", task="b"),
        ControlRow(at=3.0, op="cancel", task="d"),
        ControlRow(at=4.0, op="resume"),
        TaskRow(id="e", at=5.0, prompt="e"),
    )
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    playing = asyncio.create_task(LiveReplay(kernel, Workload(WorkloadHeader(), items, "w.jsonl"), speed=1e4).run())
    async with asyncio.timeout(PATIENCE_S):
        while not core.running or sum(not task.held for task in kernel.live_tasks()) < 4:
            await asyncio.sleep(0)
    for _ in range(4):
        (await core.next()).end()
    live = await playing
    await kernel.stop()
    made = build_input(items)
    virtual = simulate(made.tasks, parse_policy("fifo"), actions=made.actions)
    assert [live.tasks.id(place) for place in live.order] == ["b", "a", "c", "e"]
    assert [virtual.tasks.id(place) for place in virtual.order] == ["b", "c", "e", "a"]
    assert live.failed == virtual.failed == {3}


async def test_pauses_can_be_left_out() -> None:
    items = (ControlRow(at=0.0, op="pause"), TaskRow(id="a", prompt="x"), ControlRow(at=1e9, op="resume"))
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    replay = LiveReplay(kernel, Workload(WorkloadHeader(), items, "w.jsonl"), pauses=False)
    playing = asyncio.create_task(replay.run())
    (await core.next()).end()
    assert kernel.state == "running"
    replay.stop()
    await playing
    await kernel.stop()
