"""How the slots of a model server stand, who is told when that changes, and how it is found to be back."""

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
    """The slots of one server: those that it is offered stand and fall together, the others are unproven.

    While all is well nothing is asked of the server. After a failure `probe` is called, at once and then with growing
    pauses (`backoff`: first and longest, seconds), until it returns None: the slots are up again. What it returns
    otherwise is the reason why the server is down.
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
        self._resting_for, self._news = "", 0
        self._watching = False

    @property
    def state(self) -> SlotState:
        return self._state

    def slots(self) -> tuple[Slot, ...]:
        offered = [Slot(self._id(i), self._core, self._state, self._reason) for i in range(self._offered)]
        others = range(self._offered, self._count)
        return (*offered, *(Slot(self._id(i), self._core, SlotState.UNPROVEN, self._withheld) for i in others))

    def offer(self, count: int, reason: str) -> None:
        """Give work to the first `count` slots only. `reason`: why not to the others."""
        before, self._offered = self._offered, min(count, self._count)
        said, self._withheld = self._withheld, reason
        for number in range(before, self._offered):
            self._feed.publish(SlotEvent(_KINDS[self._state], self._id(number), self._reason))
        for number in range(self._offered, self._count):
            if number < before or said != reason:
                self._feed.publish(SlotEvent("unproven", self._id(number), reason))

    def _id(self, number: int) -> str:
        return f"{self._core}/{number}"

    def open(self) -> None:
        """From now on failures are followed by probes."""
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
        """The server answered. It does not end a rest."""
        self._news += 1
        if self._rest is None:
            self._become("up", "")

    def rest(self, seconds: float, reason: str, *, probe: bool = False) -> None:
        """The server asked to be left alone for so long: the slots are suspect until then. A rest is not prolonged.

        `probe`: then they are up only when it answers.
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
        """The server failed: the slots change at once, and the probing begins."""
        self._news += 1
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
        """One probe; True to ask again later."""
        if self._state is SlotState.UP:
            return False
        known = self._news
        reason = await self._probe()
        if self._news != known:  # what happened meanwhile is newer than this answer
            return self.state is not SlotState.UP
        if reason is not None:
            self._become("down", reason)
            return True
        if self._rest is None:
            self._become("up", "")
        else:  # it is there, and still wants to be left alone: the end of the rest takes the slots up
            self._become("suspect", self._resting_for)
        self.models_changed()
        return False
