"""The loop between the kernel and the panes: drained events in, one frame out, at most ten times a second."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

from aios_tui.console.state.ports import KernelPort, SubscriptionPort
from aios_tui.console.state.reducer import fold_all, resync
from aios_tui.console.state.view_state import Changes, ViewState
from engine.events import Event

FRAME_S = 0.1
SLICE = 2_000
"""Events folded before others on the loop get a turn; some 5 ms."""


class Bridge:
    """Owns the view state. Between events it sleeps; the clock ticks only through `tick`.

    Args:
        publish: called with what changed, after the state has changed. Never called when nothing did.
        now: the time in Unix seconds.
        frame_s: the least time between two frames.
        on_lost: called when events were lost, and with them perhaps ends of tasks.
    """

    def __init__(
        self,
        publish: Callable[[Changes], None],
        *,
        now: Callable[[], float] = time.time,
        on_lost: Callable[[], None] = lambda: None,
        frame_s: float = FRAME_S,
    ) -> None:
        self.view = ViewState(now=now())
        self._publish = publish
        self._now = now
        self._on_lost = on_lost
        self._frame_s = frame_s
        self._kernel: KernelPort | None = None
        self._subscription: SubscriptionPort | None = None
        self._backlog: deque[Event] = deque()

    def attach(self, kernel: KernelPort) -> None:
        """Take a kernel's present state, and miss nothing from now on; `run` then follows it."""
        self._kernel = kernel
        self._subscription = kernel.subscribe()
        self.view = resync(self.view, kernel.snapshot())
        self.emit()

    async def run(self) -> None:
        """Follow the kernel until it closes its stream or the task is cancelled."""
        subscription = self._subscription
        if subscription is None:
            return
        try:
            while not subscription.closed:
                await subscription.wait()
                self._drain()
                while self._backlog:
                    self._fold(SLICE)
                    if self._backlog:
                        await asyncio.sleep(0)
                self.emit()
                await asyncio.sleep(self._frame_s)
            self.flush()
        finally:
            self._subscription = None
            subscription.close()

    def flush(self) -> None:
        """Take in at once what has come, so that the effect of a key is drawn with the key."""
        if self._subscription is not None:
            self._drain()
            self._fold(len(self._backlog))
            self.emit()

    def feed(self, events: Iterable[Event]) -> None:
        """Fold events from elsewhere: a recording, or a test."""
        fold_all(self.view, events)
        self.emit()

    def tick(self) -> None:
        """A second has passed: clocks are drawn again."""
        self.view.changes.clock = True
        self.emit()

    def emit(self) -> None:
        """Tell the panes what changed, if anything did."""
        changes = self.view.take_changes()
        if changes:
            self.view.now = self._now()
            self._publish(changes)

    def _drain(self) -> None:
        """Move what has come to the backlog. When some was lost, a snapshot, which holds all of it, takes its place."""
        if self._subscription is None or self._kernel is None:
            return
        lost = self._subscription.lost
        self._backlog.extend(self._subscription.drain())
        if lost:
            self._backlog.clear()
            self.view = resync(self.view, self._kernel.snapshot())
            self._on_lost()

    def _fold(self, count: int) -> None:
        backlog = self._backlog
        fold_all(self.view, (backlog.popleft() for _ in range(min(count, len(backlog)))))
