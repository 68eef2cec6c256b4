"""Several cores start at the same time, and a start that fails leaves none running."""

from __future__ import annotations

import asyncio

import pytest

from engine.cores.ollama.core import OllamaCore
from engine.cores.port import SlotState
from engine.cores.scripted import ScriptedCore
from engine.errors import CoreError
from engine.store import MemoryStore, Recovery
from engine.task import TaskSpec, TaskState
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.test_core import QUICK
from tests.engine.kernel.helpers import limit, make_kernel, within


class Meeting(ScriptedCore):
    """Starts only when the others do."""

    def __init__(self, name: str, all_there: asyncio.Barrier) -> None:
        super().__init__(name=name)
        self._all_there = all_there
        self.stops = 0

    async def start(self) -> None:
        await self._all_there.wait()

    async def stop(self, *, drain_s: float) -> None:
        self.stops += 1
        await super().stop(drain_s=drain_s)


class Refusing(Meeting):
    async def start(self) -> None:
        await super().start()
        raise CoreError("the second core is broken")


async def test_a_slow_start_keeps_no_other_waiting() -> None:
    barrier = asyncio.Barrier(3)
    kernel = make_kernel(*(Meeting(name, barrier) for name in ("a", "b", "c")))
    await within(kernel.start())
    assert [slot.slot.core for slot in kernel.slots] == ["a", "b", "c"]
    await kernel.stop()


async def test_one_that_fails_stops_the_others() -> None:
    barrier = asyncio.Barrier(2)
    cores = Meeting("a", barrier), Refusing("b", barrier)
    kernel = make_kernel(*cores)
    with pytest.raises(CoreError, match="the second core is broken"):
        await within(kernel.start())
    assert [core.stops > 0 for core in cores] == [True, True]


async def test_a_core_that_comes_up_while_the_history_is_read_is_up() -> None:
    """It says so once, before anybody has begun to read what it says."""

    class Reading(MemoryStore):
        async def recover(self, *, max_interruptions: int) -> Recovery:
            await fake.start()
            async with limit("the core is up"):
                while core.slots()[0].state is not SlotState.UP:
                    await asyncio.sleep(0.005)
            return await super().recover(max_interruptions=max_interruptions)

    async with FakeOllama("tiny") as fake:
        await fake.stop()
        core = OllamaCore(fake.host, slots=1, must_answer=False, backoff=QUICK)
        kernel = make_kernel(core, store=Reading())
        await kernel.start()
        done = await within(kernel.wait(await kernel.submit(TaskSpec(prompt="p"))))
        await kernel.stop()
    assert done.state is TaskState.DONE
