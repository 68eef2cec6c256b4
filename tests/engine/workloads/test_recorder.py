"""Recording: what a kernel was given becomes a workload that replays to the same order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.events import Notice, PolicyChanged, TaskAccepted
from engine.replay.inputs import build_input
from engine.replay.simulate import simulate
from engine.scheduling import parse_policy
from engine.task import GenerationOptions, TaskSpec
from engine.workloads.format import ControlRow, Defaults, TaskRow
from engine.workloads.from_history import FromHistory, PastAct, PastTask
from engine.workloads.reader import WorkloadReader, load
from engine.workloads.recorder import Recorder
from tests.engine.kernel.helpers import GateCore, make_kernel
from tests.waiting import PATIENCE_S

SPEC = TaskSpec(
    prompt="hello",
    agent="translate",
    priority=2,
    model="m",
    client="ada",
    deadline=9.0,
    options=GenerationOptions(max_tokens=7),
)


def test_what_is_fed_is_written_and_the_rest_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    recorder = Recorder(path, 1000.0, policy="fifo", title="a test")
    recorder.feed(
        [
            PolicyChanged(1000.0, "fifo", None),
            TaskAccepted(1001.5, 7, SPEC),
            Notice(1002.0, "info", "nothing to record"),
            PolicyChanged(1003.0, "npps:ageing=60", "fifo"),
            TaskAccepted(1002.9, 8, TaskSpec(input_tokens=5, output_tokens=6)),
        ]
    )
    assert recorder.tasks == 2
    with WorkloadReader(path) as reader:
        before_the_end = list(reader)
        assert not reader.complete
    recorder.close()
    recorder.close()
    with WorkloadReader(path) as reader:
        items = list(reader)
        assert reader.complete
        assert reader.header.origin == {"what": "a test"}
    assert items == before_the_end
    assert [item.at for item in items] == [0.0, 1.5, 3.0, 3.0]
    assert items[0] == ControlRow(at=0.0, policy="fifo")
    assert items[2] == ControlRow(at=3.0, policy="npps:ageing=60")
    row = items[1]
    assert isinstance(row, TaskRow)
    assert row.spec(Defaults()) == SPEC.model_copy(update={"ref": "t7"})
    assert items[3] == TaskRow(id="t8", at=3.0, agent="chat", priority=5, input_tokens=5, output_tokens=6)
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    path.write_text("mine")
    for bad in (path, tmp_path / "none" / "w.jsonl"):
        with pytest.raises(UsageError, match=str(bad)):
            Recorder(bad, 0.0, policy="fifo")
    assert path.read_text() == "mine"


async def test_a_recorded_session_replays_to_the_same_order(tmp_path: Path) -> None:
    core = GateCore()
    kernel = make_kernel(core)
    await kernel.start()
    subscription = kernel.subscribe()
    recorder = Recorder(tmp_path / "w.jsonl", kernel.now(), policy=kernel.policy.name)
    first = await kernel.submit(TaskSpec(prompt="first", priority=5))
    running = await core.next()
    await kernel.submit_many([TaskSpec(prompt=str(priority), priority=priority) for priority in (9, 5, 0, 5)])
    kernel.switch_policy("npps")
    await kernel.submit(TaskSpec(prompt="late", priority=3))
    order = [first]
    for _ in range(5):
        running.end()
        running = await core.next()
        order.append(running.attempt.task)
    running.end()
    async with asyncio.timeout(PATIENCE_S):
        while kernel.running_count:
            await asyncio.sleep(0)
    recorder.feed(subscription.drain())
    recorder.close()
    await kernel.stop()

    workload = load(tmp_path / "w.jsonl")
    made = build_input(workload.items, workload.header.defaults)
    run = simulate(made.tasks, parse_policy("fifo"), switches=made.switches)
    assert [run.tasks.id(index) for index in run.order] == [f"t{task}" for task in order]


def test_history_becomes_a_workload() -> None:
    past = FromHistory(
        [
            PastAct(90.0, policy="fifo"),
            PastAct(95.0, policy="npps"),
            PastAct(101.0, task=4, priority=0),
            PastAct(102.0, task=99, priority=0),
            PastAct(109.0, policy="fifo"),
        ]
    )
    tasks = (
        PastTask(4, 100.0, SPEC, tokens=(11, 22)),
        PastTask(5, 102.5, SPEC, cancelled_at=103.0),
        PastTask(6, 102.0, SPEC.model_copy(update={"agent": "me/translate"})),
    )
    items = [item for task in tasks for item in past.add(task)] + list(past.rest())
    names = [item.id if isinstance(item, TaskRow) else item.policy or f"{item.op} {item.task}" for item in items]
    assert list(zip((item.at for item in items), names, strict=True)) == [
        (0.0, "npps"),
        (0.0, "t4"),
        (1.0, "priority t4"),
        (2.5, "t5"),
        (2.5, "t6"),
        (3.0, "cancel t5"),
        (9.0, "fifo"),
    ]  # fmt: skip
    rows = [item for item in items if isinstance(item, TaskRow)]
    assert [(row.input_tokens, row.output_tokens) for row in rows] == [(11, 22), (None, None), (None, None)]
    assert [row.agent for row in rows] == ["translate", "translate", "me/translate"]
    assert rows[0].spec(Defaults()).options == SPEC.options
    assert (rows[0].prompt, rows[0].priority, rows[0].client, rows[0].model) == ("hello", 2, "ada", "m")
