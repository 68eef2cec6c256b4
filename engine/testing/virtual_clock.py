"""A virtual clock for asyncio: code that waits for timers runs at once, and in the same order each time.

    from engine.testing.virtual_clock import run_virtual

    def test_a_day_passes():
        async def day() -> float:
            await asyncio.sleep(86_400)
            return asyncio.get_running_loop().time()

        assert run_virtual(day()) == pytest.approx(86_400)

The loop's time starts at 0 and stands still while anything can run. When nothing can, it jumps to the next timer.
Each jump lands a nanosecond behind the timer, as a real clock lands late and never early, so a loop that sleeps until
its deadline has passed always ends.

To give a kernel this clock, pass `now=asyncio.get_running_loop().time`. Code that reads `time.time()` or
`time.monotonic()` itself sees the real clock.

Threads of the loop's executor take no virtual time: the clock waits while one works. Sockets and pipes do not hold it
up: what they bring is taken in when it has come. When no timer is left and nothing comes for `stuck_s` real seconds,
the loop raises `Stuck` instead of waiting for ever, which turns a lost wake-up into a failed test.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

RESOLUTION_S = 1e-9
"""The loop's own resolution: timers that are due within it run together."""
LONGEST_STEP_S = 0.05
"""Real seconds between two looks while a thread works."""


class Stuck(RuntimeError):
    """Nothing can run, no timer is set, and nothing has come from outside."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when nothing can run."""

    def __init__(self, stuck_s: float = 10.0) -> None:
        self._virtual_s = 0.0
        self._in_threads = 0
        super().__init__(_JumpingSelector(self._jump, lambda: self._in_threads > 0, stuck_s))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_s

    def run_in_executor(  # type: ignore[override]  # the base class has it without types
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run in a thread, during which the clock stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1

    def _jump(self, seconds: float) -> None:
        self._virtual_s += seconds + RESOLUTION_S


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at files without waiting, and has the clock jump by the time that it was to wait."""

    def __init__(self, jump: Callable[[float], None], thread_works: Callable[[], bool], stuck_s: float) -> None:
        super().__init__()
        self._jump = jump
        self._thread_works = thread_works
        self._stuck_s = stuck_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        while self._thread_works():
            if ready := super().select(LONGEST_STEP_S):
                return ready
        if timeout is None:
            ready = super().select(self._stuck_s)
            if not ready:
                raise Stuck(f"no timer is set, and nothing came for {self._stuck_s:g} s")
            return ready
        self._jump(timeout)
        return []


def run_virtual(main: Coroutine[Any, Any, T], *, stuck_s: float = 10.0) -> T:
    """Run a coroutine to its end on a loop with a virtual clock, as `asyncio.run` does on the real one.

    Raises:
        Stuck: nothing could run for `stuck_s` real seconds, and no timer was set.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualClockLoop(stuck_s)) as runner:
        return runner.run(main)
