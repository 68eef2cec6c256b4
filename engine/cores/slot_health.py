"""The state of a model server's slots: its changes, and the probes that find the server again.

Guarantee: while all is well, no request is sent but those of the tasks. After a failure the slots change at once, so
that the kernel dispatches nothing more, and one recovery task probes with growing pauses until the server answers.

States: `up`; `suspect` after an error that may have been the request's own (a cut stream); `down` after a failed
connection or probe. All offered slots of a server share one state, because they share one server. `rest` is a pause
that the server asked for (429, 503): the slots are suspect until it is over, without probes in between. Slots beyond
the offered ones are `unproven`, see `ollama/slot_learning.py`.

A probe's answer may be older than the last outcome of a request: both are in flight at the same time. `_updates`
counts the outcomes, and an answer to a probe that was sent before the latest one is dropped. Without that, a probe
that failed just before the server came back would take the slots down again.

Rejected: polling in intervals (load on idle servers, late news), and a state for each slot (one dead server would be
found dead once for every slot, with a failed attempt each time).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

from tenacity import AsyncRetrying, retry_if_result, wait_exponential, wait_random

from engine.cores.event_feed import EventFeed
from engine.cores.port import Slot, SlotEvent, SlotState

_Kind = Literal["up", "suspect", "down"]
_STATES: dict[_Kind, SlotState] = {"up": SlotState.UP, "suspect": SlotState.SUSPECT, "down": SlotState.DOWN}
_KINDS = {state: kind for kind, state in _STATES.items()}


class SlotHealth:
    """The slots of one server. The offered ones share a state; the others are unproven.

    After a failure `probe` is called, at once and then with growing pauses (`backoff`: first and longest, seconds),
    until it returns None: the slots are up again. Otherwise it returns the reason why the server is down.
    """

    def __init__(
        self, core: str, count: int, probe: Callable[[], Awaitable[str | None]], *, backoff: tuple[float, float]
    ) -> None:
        self._core, self._count, self._probe, self._backoff = core, count, probe, backoff
        self._state, self._reason = SlotState.UP, ""
        self._offered, self._withheld = count, ""
        self._feed = EventFeed()
        self._recovery: asyncio.Task[None] | None = None
        self._rest: asyncio.Task[None] | None = None
        self._resting_for, self._updates = "", 0
        self._watching = False

    @property
    def state(self) -> SlotState:
        return self._state

    def slots(self) -> tuple[Slot, ...]:
        offered = [Slot(self._id(i), self._core, self._state, self._reason) for i in range(self._offered)]
        others = range(self._offered, self._count)
        return (*offered, *(Slot(self._id(i), self._core, SlotState.UNPROVEN, self._withheld) for i in others))

    def offer(self, count: int, reason: str) -> None:
        """Offer the first `count` slots only. `reason`: why the others are unproven."""
        before, self._offered = self._offered, min(count, self._count)
        reason_before, self._withheld = self._withheld, reason
        for number in range(before, self._offered):
            self._feed.publish(SlotEvent(_KINDS[self._state], self._id(number), self._reason))
        for number in range(self._offered, self._count):
            if number < before or reason_before != reason:
                self._feed.publish(SlotEvent("unproven", self._id(number), reason))

    def _id(self, number: int) -> str:
        return f"{self._core}/{number}"

    def open(self) -> None:
        """Start to probe after failures."""
        self._watching = True

    async def close(self) -> None:
        """Stop probing and end every `events()`. Idempotent."""
        self._watching = False
        for task in filter(None, (self._recovery, self._rest)):
            task.cancel()
            await asyncio.wait({task})
        self._recovery = self._rest = None
        self._feed.close()

    def events(self) -> AsyncIterator[SlotEvent]:
        """Return the events from this call on, until `close`."""
        return self._feed.events()

    def models_changed(self) -> None:
        self._feed.publish(SlotEvent("models"))

    def notice(self, text: str) -> None:
        """Report a line for the operator."""
        self._feed.publish(SlotEvent("notice", None, text))

    def up(self) -> None:
        """Report that the server answered. It does not end a rest."""
        self._updates += 1
        if self._rest is None:
            self._become("up", "")

    def rest(self, seconds: float, reason: str, *, probe: bool = False) -> None:
        """Make the slots suspect for the time in seconds that the server asked for. A running rest is not prolonged.

        `probe`: afterwards they are up only when the server answers.
        """
        if self._watching and self._rest is None and self._state is SlotState.UP:
            self._become("suspect", reason)
            self._resting_for = reason
            self._rest = asyncio.create_task(self._wake_after(seconds, probe), name=f"{self._core} rest")

    async def _wake_after(self, seconds: float, probe: bool) -> None:
        await asyncio.sleep(seconds)
        self._rest = None
        if probe and self._state is SlotState.SUSPECT:
            self.fail("suspect", self._reason)
        elif self._state is SlotState.SUSPECT and (self._recovery is None or self._recovery.done()):
            self._become("up", "")

    def fail(self, kind: Literal["suspect", "down"], reason: str) -> None:
        """Report that the server failed: the slots change at once, and probing begins."""
        self._updates += 1
        if not (kind == "suspect" and self._state is SlotState.DOWN):
            self._become(kind, reason)
        if self._watching and (self._recovery is None or self._recovery.done()):
            self._recovery = asyncio.create_task(self._recover(), name=f"{self._core} recovery")

    def _become(self, kind: Literal["up", "suspect", "down"], reason: str) -> None:
        changed = self._state is not _STATES[kind]
        self._state, self._reason = _STATES[kind], reason
        if changed and self._offered == self._count:
            self._feed.publish(SlotEvent(kind, None, reason))
        elif changed:
            for number in range(self._offered):
                self._feed.publish(SlotEvent(kind, self._id(number), reason))

    async def _recover(self) -> None:
        first, longest = self._backoff
        pauses = wait_exponential(multiplier=first, max=longest) + wait_random(0, first / 4)
        await AsyncRetrying(wait=pauses, retry=retry_if_result(bool))(self._ask)

    async def _ask(self) -> bool:
        """Probe once; return True to probe again later."""
        if self._state is SlotState.UP:
            return False
        known = self._updates
        reason = await self._probe()
        if self._updates != known:  # an outcome since then is newer than this answer
            return self.state is not SlotState.UP
        if reason is not None:
            self._become("down", reason)
            return True
        if self._rest is None:
            self._become("up", "")
        else:  # it answers, but asked for a rest: the end of the rest takes the slots up
            self._become("suspect", self._resting_for)
        self.models_changed()
        return False
