"""One running request to a server, and its stream, as an iterator that can be cancelled from outside.

The kernel reads an attempt's items in one task and cancels the attempt from another. If the reader itself held the
connection, `cancel` would have to cancel the reader, which then could not receive the outcome. So a worker task owns
the connection, and hands items over in a queue:

- Exactly one outcome comes last, whatever the worker does: its result, Cancelled, or a fault for an exception.
- `cancel` returns when the worker has closed the connection, so the model has stopped and the slot is free.
- The queue is bounded: a server that floods is held back by its own connection, and a slow reader costs no memory.
  On an early end the chunks still in the queue are dropped, since the outcome must not wait for a reader.

An async generator alone does not do: one that its caller drops is closed by the event loop at some later time, and
until then the server generates in vain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from engine.cores.port import Cancelled, Chunk, Fault, FaultKind, Outcome
from engine.sanitise import one_line

_AHEAD = 256
Emit = Callable[[Chunk], Awaitable[None]]


class Call:
    """Runs `work(emit)`, whose result is the outcome; `items()` gives the emitted chunks, then exactly one outcome.

    The worker reads at most 256 items ahead of the reader.
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
        """Drop the queued chunks and put the outcome in their place."""
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
