"""Several cores start at the same time, and a start that fails leaves none running."""

from __future__ import annotations

import asyncio

import pytest

from engine.cores.scripted import ScriptedCore
from engine.errors import CoreError
from tests.kernel.gate import make_kernel


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
    async with asyncio.timeout(10):
        await kernel.start()
    assert [place.slot.core for place in kernel.slots] == ["a", "b", "c"]
    await kernel.stop()


async def test_one_that_fails_stops_the_others() -> None:
    barrier = asyncio.Barrier(2)
    cores = Meeting("a", barrier), Refusing("b", barrier)
    kernel = make_kernel(*cores)
    async with asyncio.timeout(10):
        with pytest.raises(CoreError, match="the second core is broken"):
            await kernel.start()
    assert [core.stops > 0 for core in cores] == [True, True]
