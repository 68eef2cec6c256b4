"""The base of the cores over HTTP: start and stop, slots, and a call for each attempt."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from engine.cores.port import Attempt, Chunk, Fault, FaultKind, Outcome, Rejected, Slot, SlotEvent
from engine.cores.slot_health import SlotHealth
from engine.cores.stream_call import Call, Emit
from engine.errors import CoreError

_CLOSE_S = 5.0


class Closable(Protocol):
    """A connection to a server."""

    async def close(self) -> None:
        """Close it; no request follows."""


class ServerCore(ABC):
    """A core whose models are a server's. A subclass speaks the server's protocol.

    The subclass makes `_connection`, and `_health`, whose probe is `_why_down`.
    """

    _health: SlotHealth
    _connection: Closable

    def __init__(self, name: str, *, must_answer: bool) -> None:
        """`must_answer`: `start` raises if the server does not answer; otherwise the slots are down until it does."""
        self.name, self._must_answer = name, must_answer
        self._calls: dict[tuple[int, int, int], Call] = {}
        self._running = self._stopped = False

    @abstractmethod
    async def _why_down(self) -> str | None:
        """Probe the server. Return None if it answers, else the reason. Raises nothing."""

    @abstractmethod
    async def _carry_out(self, attempt: Attempt, emit: Emit) -> Outcome:
        """Send the request and read its stream to the end. Raises nothing but CancelledError."""

    async def start(self) -> None:
        """Probe the server. Raises CoreError if it must answer and does not."""
        self._health.open()
        self._running = True
        reason = await self._why_down()
        if reason is None:
            self._health.up()
            return
        if self._must_answer:
            await self.stop(drain_s=0)
            raise CoreError(reason)
        self._health.fail("down", reason)

    async def stop(self, *, drain_s: float) -> None:
        self._running, self._stopped = False, True
        calls = list(self._calls.values())
        if calls and drain_s > 0:
            await asyncio.wait({call.worker for call in calls}, timeout=drain_s)
        for call in calls:
            await call.cancel(_CLOSE_S)
        await self._health.close()
        await self._connection.close()

    def slots(self) -> Sequence[Slot]:
        return self._health.slots()

    def events(self) -> AsyncIterator[SlotEvent]:
        return self._health.events()

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        key = attempt.key
        if not self._running or key in self._calls:
            yield Rejected(
                f"the {self.name} core is stopped" if not self._running else "the attempt is running already"
            )
            return
        call = Call(lambda emit: self._carry_out(attempt, emit), name=f"{slot.id} task {attempt.task}")
        self._calls[key] = call
        try:
            async for item in call.items():
                if not isinstance(item, Chunk):
                    self._calls.pop(key, None)
                yield item
        finally:
            self._calls.pop(key, None)
            await call.cancel(_CLOSE_S)

    def _broke_off(self, reason: str) -> Fault:
        """Return the fault of a stream that ended without its last record; the server is suspect."""
        self._health.fail("suspect", reason)
        return Fault(FaultKind.BROKEN_STREAM, reason, True)

    async def cancel(self, attempt: Attempt) -> None:
        call = self._calls.get(attempt.key)
        if call is not None:
            await call.cancel(_CLOSE_S)
