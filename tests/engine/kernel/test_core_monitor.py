"""What the kernel learns of a core by looking at it, and how often it looks."""

from __future__ import annotations

import asyncio

import pytest

from engine.cores.port import CoreInfo, SlotEvent
from engine.kernel import inspection_schedule
from tests.engine.kernel.helpers import GateCore, make_kernel


class Slow(GateCore):
    """Each look at it sees it as it is, and is answered when the test says so."""

    def __init__(self) -> None:
        super().__init__(models=("a", "b"))
        self.loaded = {"a"}
        self.answers: asyncio.Queue[asyncio.Event] | None = None

    async def inspect(self) -> CoreInfo:
        info = await super().inspect()
        if self.answers is not None:
            answer = asyncio.Event()
            self.answers.put_nowait(answer)
            await answer.wait()
        return info


async def test_of_two_looks_at_once_the_newer_counts_whichever_ends_last() -> None:
    core = Slow()
    kernel = make_kernel(core)
    await kernel.start()
    core.answers = asyncio.Queue()
    older = asyncio.create_task(kernel.inspect())
    of_older = await core.answers.get()
    core.loaded = {"b"}
    newer = asyncio.create_task(kernel.inspect())
    (await core.answers.get()).set()
    await newer
    of_older.set()
    await older
    assert [model.name for info in kernel.infos for model in info.models if model.loaded] == ["b"]
    assert kernel.slots.models["gate"].held == {"b"}
    await kernel.stop()


class Talkative(GateCore):
    """Each look at it makes it say that its models have changed."""

    looks = 0

    async def inspect(self) -> CoreInfo:
        self.looks += 1
        self.says.put_nowait(SlotEvent("models"))
        return await super().inspect()


async def test_a_core_that_changes_with_every_look_is_not_looked_at_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inspection_schedule, "LOOK_GAP_S", 3_600.0)
    core = Talkative()
    kernel = make_kernel(core)
    await kernel.start()
    for _ in range(200):
        await asyncio.sleep(0)
    assert core.looks == 2, "that of the start, and that of what it said then"
    await kernel.stop()


async def test_what_a_core_says_last_leads_to_a_look_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_schedule, "LOOK_GAP_S", 0.02)
    core = GateCore(models=("a",))
    kernel = make_kernel(core)
    await kernel.start()
    async with asyncio.timeout(10):
        for name in ("b", "c", "d"):
            core.models = (name,)
            core.says.put_nowait(SlotEvent("models"))
            await asyncio.sleep(0)
        while [model.name for info in kernel.infos for model in info.models] != ["d"]:
            await asyncio.sleep(0.005)
    await kernel.stop()
