"""What the kernel knows of its cores: how each is, and what each says of its slots."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence

from engine.cores.port import Core, CoreInfo, SlotEvent
from engine.events import CoreChanged, Event, Notice, SlotChanged
from engine.kernel.dispatcher import Dispatcher

LOOK_GAP_S = 1.0
"""Between two looks at a core because of what it said, at least."""


class CoreMonitor:
    """Follows the cores, keeps the slot table true, and tells the subscribers.

    Attributes:
        infos: the cores by name, as they were when last looked at.
    """

    def __init__(self, dispatcher: Dispatcher, publish: Callable[[Event], None], now: Callable[[], float]) -> None:
        self._dispatcher = dispatcher
        self._slots = dispatcher.slots
        self._publish = publish
        self._now = now
        self.infos: dict[str, CoreInfo] = {}
        self._followed: set[str] = set()
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()  # cores that changed while they were looked at
        self._began: dict[str, float] = {}  # by core, when the last look was asked for, by the loop's clock
        self._due: dict[str, asyncio.TimerHandle] = {}  # looks that wait for the gap to be over
        self._looks = 0  # begun so far
        self._learnt: dict[str, int] = {}  # by core, the number of the look that was learnt last

    async def inspect(self, cores: Sequence[Core]) -> list[CoreInfo]:
        """Ask these cores how they are."""
        self._looks += 1
        look = self._looks
        up = [self._slots.up(core) for core in cores]
        infos = await asyncio.gather(*(core.inspect() for core in cores))
        for info, was_up in zip(infos, up, strict=True):
            if look > self._learnt.get(info.name, 0):  # else a look that began later has ended before
                self._learnt[info.name] = look
                self._learn(info, up=was_up)
        return infos

    async def follow(self, core: Core, events: AsyncIterator[SlotEvent]) -> None:
        """Follow what a core says of its slots, for as long as it lives. Looking at it closer never delays that.

        `events` is of its `events()`, from before its slots were added to the table.
        """
        self._followed.add(core.name)
        try:
            async for event in events:
                if event.kind == "notice":
                    self._publish(Notice(self._now(), "warning", event.reason))
                    continue
                for slot in self._slots.apply(core, event):
                    self._publish(SlotChanged(self._now(), slot.id, slot.core, slot.state, slot.reason))
                self._dispatcher.kick()
                self._hear(core)
        finally:
            self._followed.discard(core.name)
            if core.name in self._due:
                self._due.pop(core.name).cancel()
            if core.name in self._looking:
                self._looking[core.name].cancel()

    def settle(self, core: Core) -> None:
        """Take the core's slots as they are now, without waiting for what it says of them."""
        for slot in self._slots.settle(core):
            self._publish(SlotChanged(self._now(), slot.id, slot.core, slot.state, slot.reason))

    def _hear(self, core: Core) -> None:
        """A core said something: look at it, but for what it says soon after a look only when the gap is over.

        A look may itself be what makes a core say something, so that each would lead to the next one.
        """
        loop = asyncio.get_running_loop()
        left = self._began.get(core.name, -math.inf) + LOOK_GAP_S - loop.time()
        if left <= 0:
            self.look(core)
        elif core.name not in self._due:
            self._due[core.name] = loop.call_later(left, self.look, core)

    def look(self, core: Core) -> None:
        """Look at a core soon, for it may have changed; once more after the present look, when there is one."""
        looking = self._looking.get(core.name)
        if core.name not in self._followed:
            return
        if core.name in self._due:
            self._due.pop(core.name).cancel()
        self._began[core.name] = asyncio.get_running_loop().time()
        if looking is None or looking.done():
            self._looking[core.name] = asyncio.create_task(self._look_at(core), name=f"look at {core.name}")
        else:
            self._again.add(core.name)

    async def _look_at(self, core: Core) -> None:
        await self.inspect([core])
        while core.name in self._again:
            self._again.discard(core.name)
            await self.inspect([core])

    def _learn(self, info: CoreInfo, *, up: bool) -> None:
        self.infos[info.name] = info
        self._slots.learn(info, up=up)
        self._dispatcher.kick()
        self._publish(CoreChanged(self._now(), info))
