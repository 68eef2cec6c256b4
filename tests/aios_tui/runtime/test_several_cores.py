"""Two Ollama hosts at once, over real HTTP: each has its tasks, and one that goes away takes only its own with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aios_tui.runtime.runtime import Runtime
from engine.cores.port import CoreInfo, SlotState
from engine.events import Event, SlotChanged
from engine.kernel import Kernel
from engine.task import Task, TaskSpec, TaskState
from persistence import History
from tests.aios_tui.config.helpers import load_settings
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.waiting import PATIENCE_S


@asynccontextmanager
async def session_on(folder: Path, den: str, attic: str, more: str = "") -> AsyncIterator[Runtime]:
    config = folder / "config.toml"
    config.write_text(
        f'{more}db = "h.db"\nagents_folder = "agents"\n[cores.den]\nkind = "ollama"\nurl = "http://{den}"\n'
        f'[cores.attic]\nkind = "ollama"\nurl = "http://{attic}"\nslots = 2\n'
    )
    runtime = Runtime(load_settings(config=config, environ={}).settings)
    await runtime.open()
    try:
        await runtime.start()
        yield runtime
    finally:
        await runtime.close()


async def until(kernel: Kernel, wanted: type[Event], **facts: object) -> None:
    """Wait until an event of this type comes that has these facts, or the present state shows it."""
    subscription = kernel.subscribe()

    def shown(events: list[Event]) -> bool:
        return any(isinstance(e, wanted) and all(getattr(e, k) == v for k, v in facts.items()) for e in events)

    try:
        async with asyncio.timeout(PATIENCE_S):
            if shown(kernel.snapshot()):
                return
            while not shown(subscription.drain()):
                await subscription.wait()
    finally:
        subscription.close()


async def ended(kernel: Kernel, *ids: int) -> list[Task]:
    async with asyncio.timeout(PATIENCE_S):
        return [await kernel.wait(id_) for id_ in ids]


def models(fake: FakeOllama) -> set[str]:
    return {request.body["model"] for request in fake.chats()}


def by_name(infos: list[CoreInfo]) -> dict[str, CoreInfo]:
    return {info.name: info for info in infos}


async def test_a_task_goes_to_the_host_that_has_its_model(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        async with session_on(tmp_path, den.host, attic.host) as runtime:
            kernel = runtime.kernel
            assert runtime.core_names == "den, attic"
            specs = [TaskSpec(prompt=f"{n}", model="red:1b" if n % 2 else "blue:1b") for n in range(10)]
            tasks = await ended(kernel, *await kernel.submit_many(specs))
            unnamed = await ended(kernel, await kernel.submit(TaskSpec(prompt="to any")))
        assert {task.state for task in (*tasks, *unnamed)} == {TaskState.DONE}
        assert [task.core for task in tasks] == ["attic", "den"] * 5
        assert (models(den), models(attic)) == ({"red:1b"}, {"blue:1b"})
        assert den.most_active == 1 and attic.most_active <= 2


async def test_a_host_that_dies_takes_its_tasks_along_and_brings_them_back(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        async with session_on(tmp_path, den.host, attic.host) as runtime:
            kernel = runtime.kernel
            await attic.stop()
            first = await kernel.submit(TaskSpec(prompt="finds it gone", model="blue:1b"))
            await until(kernel, SlotChanged, slot="attic/0", state=SlotState.DOWN)
            blue = await kernel.submit_many([TaskSpec(prompt=f"b{n}", model="blue:1b") for n in range(4)])
            red = await kernel.submit_many([TaskSpec(prompt=f"r{n}", model="red:1b") for n in range(4)])
            assert [task.core for task in await ended(kernel, *red)] == ["den"] * 4
            assert kernel.queued_count == 4  # of `first` the next attempt waits; it has started
            infos = by_name(await kernel.inspect())
            assert (infos["den"].healthy, infos["attic"].healthy) == (True, False)
            assert attic.host in infos["attic"].detail

            await attic.start()
            tasks = await ended(kernel, first, *blue)
            assert {(task.core, task.state) for task in tasks} == {("attic", TaskState.DONE)}
        assert models(den) == {"red:1b"}


async def test_none_is_up_at_the_start_and_one_comes(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        await den.stop()
        await attic.stop()
        async with session_on(tmp_path, den.host, attic.host) as runtime:
            kernel = runtime.kernel
            assert [line.partition("(")[0] for line in runtime.describe_cores()] == [
                f"core den: Ollama at {den.host}, as configured ",
                f"core attic: Ollama at {attic.host}, as configured ",
            ]
            task = await kernel.submit(TaskSpec(prompt="waits"))
            await den.start()
            await until(kernel, SlotChanged, slot="den/0", state=SlotState.UP)
            (done,) = await ended(kernel, task)
            assert (done.core, done.model, done.state) == ("den", "red:1b", TaskState.DONE)


async def test_the_default_model_is_asked_for_where_it_is(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        async with session_on(tmp_path, den.host, attic.host, 'model = "blue:1b"\n') as runtime:
            kernel = runtime.kernel
            tasks = await ended(kernel, *await kernel.submit_many([TaskSpec(prompt=f"{n}") for n in range(4)]))
        assert {(task.core, task.model, task.state) for task in tasks} == {("attic", "blue:1b", TaskState.DONE)}


async def test_a_model_of_a_host_that_was_never_seen_is_waited_for(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        await attic.stop()
        async with session_on(tmp_path, den.host, attic.host) as runtime:
            kernel = runtime.kernel
            blue = await kernel.submit(TaskSpec(prompt="waits", model="blue:1b"))
            (red,) = await ended(kernel, await kernel.submit(TaskSpec(prompt="goes on", model="red:1b")))
            assert (red.core, kernel.queued_count) == ("den", 1)
            await attic.start()
            (done,) = await ended(kernel, blue)
            assert (done.core, done.state) == ("attic", TaskState.DONE)


async def test_tasks_left_for_hosts_that_nobody_has_looked_at_yet_find_theirs(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        await den.stop()
        await attic.stop()
        async with session_on(tmp_path, den.host, attic.host) as runtime:
            specs = [TaskSpec(prompt=f"{n}", model="blue:1b") for n in range(3)]
            left = await runtime.kernel.submit_many(specs)
        await den.start()
        await attic.start()
        async with session_on(tmp_path, den.host, attic.host) as runtime:  # they are taken up before any look
            tasks = await ended(runtime.kernel, *left)
        assert {(task.core, task.state) for task in tasks} == {("attic", TaskState.DONE)}


async def test_a_host_that_comes_first_is_not_given_what_it_has_not(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        await den.stop()
        await attic.stop()
        async with session_on(tmp_path, den.host, attic.host) as runtime:
            kernel = runtime.kernel
            blue = await kernel.submit(TaskSpec(prompt="for attic", model="blue:1b"))
            red = await kernel.submit(TaskSpec(prompt="for den", model="red:1b"))
            await den.start()
            assert [task.core for task in await ended(kernel, red)] == ["den"]
            await attic.start()
            assert [(task.core, task.state) for task in await ended(kernel, blue)] == [("attic", TaskState.DONE)]
        assert models(den) == {"red:1b"}


async def test_the_cores_are_named_in_the_history(tmp_path: Path) -> None:
    async with FakeOllama("red:1b") as den, FakeOllama("blue:1b") as attic:
        async with session_on(tmp_path, den.host, attic.host) as runtime:
            kernel = runtime.kernel
            await ended(kernel, await kernel.submit(TaskSpec(prompt="x", model="blue:1b")))
        async with History(tmp_path / "h.db") as history:
            records = await history.list()
        assert [(record.core, record.model) for record in records] == [("attic", "blue:1b")]
