"""The virtual clock: timers run in order and at once, threads hold the clock, a lost wake-up fails."""

from __future__ import annotations

import asyncio
import time

import pytest

from engine.testing.virtual_clock import Stuck, run_virtual


def test_a_day_takes_no_time() -> None:
    async def day() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    begun = time.monotonic()
    assert run_virtual(day()) == pytest.approx(86_400)
    assert time.monotonic() - begun < 10


def test_timers_run_in_their_order_and_at_their_times() -> None:
    seen: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(wait("c", 3.5), wait("a", 0.25), wait("b", 0.5), wait("never early", 0.1))

    run_virtual(main())
    assert [name for name, _ in seen] == ["never early", "a", "b", "c"]
    for (_, at), due in zip(seen, (0.1, 0.25, 0.5, 3.5), strict=True):
        assert due <= at < due + 1e-6


def test_a_loop_that_sleeps_until_a_deadline_ends() -> None:
    async def main() -> int:
        loop, turns = asyncio.get_running_loop(), 0
        await asyncio.sleep(1e6 / 3)
        deadline = loop.time() + 0.1
        while loop.time() < deadline:
            turns += 1
            await asyncio.sleep(deadline - loop.time())
        return turns

    assert run_virtual(main()) <= 3


def test_a_time_out_fires_at_its_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(30)


def test_the_clock_waits_for_threads() -> None:
    def work() -> str:
        time.sleep(0.1)
        return "done"

    async def main() -> tuple[str, float]:
        async with asyncio.timeout(1):
            done = await asyncio.to_thread(work)
        return done, asyncio.get_running_loop().time()

    assert run_virtual(main()) == ("done", 0.0)


def test_a_lost_wake_up_fails() -> None:
    with pytest.raises(Stuck, match="no timer is set"):
        run_virtual(asyncio.Event().wait(), stuck_s=0.05)
