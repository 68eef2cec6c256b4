"""The bridge between kernel and panes: drains events, folds them, and publishes frames, at most ten a second.

The guarantees: no event is dropped or folded twice; panes draw only what changed; a key's effect is in the frame that
the key causes; and the loop stays responsive, whatever the kernel does.

Events are pulled, not pushed. The subscription is a bounded queue: a burst of 10,000 becomes one frame instead of
10,000 redraws, and a console that falls behind costs memory up to a limit and then loses events. A loss is never
patched up: the state is rebuilt from a snapshot, which contains everything the lost events said, except the tasks that
ended meanwhile; `on_lost` makes the app read those from the history.

Folding 10,000 events takes 25 to 50 ms, so `run` folds in slices and lets other tasks on the loop in between. `flush`
folds what is left at once, after a key was pressed.

Before a frame is published, the scheduler is asked for the order in which tasks will run (see `ready_order`), once for
each frame in which it may have changed, and never for a frame of mere tokens.

Rejected alternatives: a callback for each event (redraws per event, and a widget's error would end up in the kernel);
polling the kernel ten times a second (an idle console should use no processor time); folding in a thread (widgets would
need locks on everything they read).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

from aios_tui.console.state.ports import KernelPort, SubscriptionPort
from aios_tui.console.state.ready_order import HEAD
from aios_tui.console.state.reducer import fold_all, resync
from aios_tui.console.state.view_state import Changes, ViewState
from engine.events import Event

FRAME_S = 0.1
SLICE = 2_000
"""Events folded before other tasks on the loop may run; 5 to 10 ms."""


class Bridge:
    """Owns the view state. Between events it sleeps; the clock advances only through `tick`.

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
        """Take over a kernel's present state and subscribe to its events; `run` then follows it."""
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
        """Fold at once what has arrived, so that the effect of a key is drawn with the key."""
        if self._subscription is not None:
            self._drain()
            self._fold(len(self._backlog))
            self.emit()

    def feed(self, events: Iterable[Event]) -> None:
        """Fold events from elsewhere: a recording, or a test."""
        fold_all(self.view, events)
        self.emit()

    def tick(self) -> None:
        """Redraw clocks: a second has passed."""
        self.view.changes.clock = True
        self.emit()

    def emit(self) -> None:
        """Publish what changed, if anything did."""
        self._lead_queue()
        changes = self.view.take_changes()
        if changes:
            self.view.now = self._now()
            self._publish(changes)

    def _lead_queue(self) -> None:
        """Let the queue begin with what the scheduler will dispatch next."""
        changes = self.view.changes
        if self._kernel is None or not (changes.queue or changes.cores or changes.header or changes.everything):
            return
        if self.view.order.lead_with(task for task, _ in self._kernel.upcoming(HEAD)):
            changes.queue = True

    def _drain(self) -> None:
        """Move what has arrived to the backlog. After a loss, a snapshot, which contains all of it, takes its place."""
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
