"""A session that writes down what is submitted, and plays it again to the same order."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aios_tui.config.settings import Settings
from aios_tui.runtime.runtime import Runtime
from engine.errors import UsageError
from engine.replay.live import LiveReplay
from engine.task import TaskSpec
from engine.workloads.reader import WorkloadReader, load
from engine.workloads.recorder import Recorder


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Runtime]:
    core = "scripted:ttft=0,tps=0,tokens=3"
    runtime = Runtime(Settings(db=folder / "h.db", core=core, agents_folder=folder, themes_folder=folder))
    await runtime.open()
    try:
        await runtime.start(paused=True)
        yield runtime
    finally:
        await runtime.close()


def asked(number: int, priority: int) -> TaskSpec:
    return TaskSpec(prompt=f"task {number}", priority=priority, ref=f"n{number}")


async def test_a_recording_replays_to_the_same_order(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "session.jsonl"
    order: list[str] = []
    (tmp_path / "one").mkdir()
    async with started(tmp_path / "one") as runtime:
        kernel = runtime.kernel
        await runtime.record(path)
        here = runtime.recording
        assert here == path
        ids = await kernel.submit_many([asked(n, priority) for n, priority in enumerate((7, 2, 5, 2))])
        kernel.switch_policy("npps")
        ids += [await kernel.submit(asked(9, 0))]
        kernel.resume()
        ended = [await kernel.wait(id_) for id_ in ids]
        assert runtime.recorded == 5
        assert await runtime.stop_recording() == path
        order = [task.spec.prompt for task in sorted(ended, key=lambda task: task.dispatch_order or 0)]
    assert order == ["task 9", "task 1", "task 3", "task 2", "task 0"]
    workload = load(path)
    (tmp_path / "two").mkdir()
    async with started(tmp_path / "two") as runtime:
        runtime.kernel.resume()
        run = await LiveReplay(runtime.kernel, workload, speed=float("inf")).run()
    assert [workload.tasks[index].prompt for index in run.order] == order


async def test_closing_the_session_finishes_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    async with started(tmp_path) as runtime:
        await runtime.record(path)
        await runtime.kernel.submit(asked(1, 5))
    with WorkloadReader(path) as reader:
        items = list(reader)
        assert [item.kind for item in items] == ["control", "control", "task"]  # the policy, and that it was paused
        assert (reader.tasks, reader.complete) == (1, True)
    if os.name != "nt":
        assert path.stat().st_mode & 0o077 == 0


async def test_what_cannot_be_recorded_is_one_line(tmp_path: Path) -> None:
    runtime = Runtime(Settings(db=tmp_path / "h.db"))
    with pytest.raises(UsageError, match="the kernel is not running"):
        await runtime.record(tmp_path / "w.jsonl")
    assert await runtime.stop_recording() is None
    async with started(tmp_path) as runtime:
        (tmp_path / "there.jsonl").write_text("mine")
        with pytest.raises(UsageError, match=r"there\.jsonl"):
            await runtime.record(tmp_path / "there.jsonl")
        assert runtime.recording is None
        await runtime.record(tmp_path / "w.jsonl")
        with pytest.raises(UsageError, match="already"):
            await runtime.record(tmp_path / "other.jsonl")
        assert (tmp_path / "there.jsonl").read_text() == "mine"


async def test_a_file_that_cannot_be_written_ends_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Recorder, events: object) -> None:
        raise UsageError(f"{self.path}: No space left on device")

    async with started(tmp_path) as runtime:
        await runtime.record(tmp_path / "w.jsonl")
        monkeypatch.setattr(Recorder, "feed", refuse)
        await runtime.kernel.submit(asked(1, 5))
        while not runtime.recording_over:
            await runtime.kernel.inspect()
        with pytest.raises(UsageError, match="No space left"):
            await runtime.stop_recording()
        assert runtime.recording is None
