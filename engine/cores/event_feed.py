"""Fan-out of a core's slot events: every `events()` iterator gets all that is published from its creation on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakSet

from engine.cores.port import SlotEvent

_BACKLOG = 1_000


class EventFeed:
    """The events of one core. A dropped listener is forgotten; one that does not read keeps 1,000 events."""

    def __init__(self) -> None:
        self._queues: WeakSet[asyncio.Queue[SlotEvent | None]] = WeakSet()
        self._closed = False

    def publish(self, event: SlotEvent) -> None:
        for queue in list(self._queues):
            if queue.qsize() < _BACKLOG:
                queue.put_nowait(event)

    def close(self) -> None:
        """End every iterator, also those that are created later. Idempotent."""
        if not self._closed:
            self._closed = True
            for queue in list(self._queues):
                queue.put_nowait(None)

    def events(self) -> AsyncIterator[SlotEvent]:
        """Implement `Core.events`."""
        queue: asyncio.Queue[SlotEvent | None] = asyncio.Queue()
        if self._closed:
            queue.put_nowait(None)
        self._queues.add(queue)
        return _read(queue)


async def _read(queue: asyncio.Queue[SlotEvent | None]) -> AsyncIterator[SlotEvent]:
    while (event := await queue.get()) is not None:
        yield event
