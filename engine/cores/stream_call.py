"""One running request: a task of its own reads the stream, so that it can be stopped while somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from engine.cores.port import Cancelled, Chunk, Fault, FaultKind, Outcome
from engine.sanitise import one_line

_AHEAD = 256
Emit = Callable[[Chunk], Awaitable[None]]


class Call:
    """Runs `work(emit)`, whose result is the outcome; `items()` gives what it emits, then exactly one outcome.

    The worker reads at most a few hundred chunks ahead of whoever takes the items, so a flood stays at the server.
    """

    def __init__(self, work: Callable[[Emit], Awaitable[Outcome]], *, name: str) -> None:
        self._queue: asyncio.Queue[Chunk | Outcome] = asyncio.Queue(_AHEAD)
        self.worker = asyncio.create_task(self._run(work), name=name)
        self.worker.add_done_callback(self._ended)

    async def _run(self, work: Callable[[Emit], Awaitable[Outcome]]) -> None:
        await self._queue.put(await work(self._queue.put))

    def _ended(self, worker: asyncio.Task[None]) -> None:
        if worker.cancelled():
            self._conclude(Cancelled())
        elif (error := worker.exception()) is not None:
            reason = one_line(f"the request failed: {type(error).__name__}: {error}")
            self._conclude(Fault(FaultKind.INTERNAL, reason, False))

    def _conclude(self, outcome: Outcome) -> None:
        """Late chunks are dropped in favour of the outcome."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(outcome)

    async def items(self) -> AsyncIterator[Chunk | Outcome]:
        while True:
            item = await self._queue.get()
            yield item
            if not isinstance(item, Chunk):
                return

    async def cancel(self, timeout_s: float) -> None:
        """Stop the work and wait until its connection is closed, at most `timeout_s`. Nothing if it has ended."""
        if self.worker.done():
            return
        self.worker.cancel()
        await asyncio.wait({self.worker}, timeout=timeout_s)
