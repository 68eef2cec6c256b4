"""What the kernel learns of a core by looking at it, and how often it looks."""

from __future__ import annotations

import asyncio

from engine.cores.port import CoreInfo
from tests.kernel.gate import GateCore, make_kernel


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
