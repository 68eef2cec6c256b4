"""A core that repeats the prompt until `max_tokens` words are said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import cycle

from engine.cores.event_feed import EventFeed
from engine.cores.options import OptionCheck
from engine.cores.plugins import CoreSettings
from engine.cores.port import (
    Attempt,
    Cancelled,
    Chunk,
    CoreInfo,
    Done,
    Fault,
    FaultKind,
    ModelInfo,
    Outcome,
    Slot,
    SlotEvent,
    Usage,
)
from engine.errors import UsageError
from engine.task import GenerationOptions

MODEL = "echo:1"
HONOURED = {"max_tokens", "endpoint"}
LACKING = dict.fromkeys({*GenerationOptions.model_fields, "tools"} - HONOURED, "it only repeats")


class EchoCore:
    """Implements `Core`. The option `pause_ms` of its table is the time between two words."""

    def __init__(self, settings: CoreSettings) -> None:
        pause_ms = settings.options.get("pause_ms", 1)
        if not isinstance(pause_ms, int | float) or pause_ms < 0:
            raise UsageError(f"core {settings.name}: pause_ms has to be a number from 0 on")
        self._pause_s = pause_ms / 1000
        self._name, self._why = settings.name, settings.why
        self._slots = [Slot(f"{self._name}/{number}", self._name) for number in range(settings.slots or 2)]
        self._feed = EventFeed()
        self._options = OptionCheck(self._name, lambda text: self._feed.publish(SlotEvent("notice", reason=text)))
        self._stops: dict[tuple[int, int, int], asyncio.Event] = {}
        self._stopped = False

    @property
    def name(self) -> str:
        return self._name

    async def start(self) -> None:
        return

    async def stop(self, *, drain_s: float) -> None:
        self._stopped = True
        deadline = asyncio.get_running_loop().time() + drain_s
        while self._stops and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for stop in self._stops.values():
            stop.set()
        self._feed.close()

    def slots(self) -> Sequence[Slot]:
        return self._slots

    def events(self) -> AsyncIterator[SlotEvent]:
        return self._feed.events()

    async def cancel(self, attempt: Attempt) -> None:
        if stop := self._stops.get(_key(attempt)):
            stop.set()

    async def inspect(self) -> CoreInfo:
        return CoreInfo(
            name=self._name,
            healthy=not self._stopped,
            default_model=MODEL,
            models=(ModelInfo(MODEL, loaded=True),),
            where="in process",
            why=self._why,
            kind="echo",
        )

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        admitted = self._options.admit(attempt, LACKING)
        if self._stopped:
            yield Fault(FaultKind.UNREACHABLE, f"core {self._name} is stopped", retryable=False)
        elif attempt.model not in (None, MODEL):
            reason = f"model '{attempt.model}' not found; there is {MODEL}"
            yield Fault(FaultKind.NO_MODEL, reason, retryable=False, model=attempt.model)
        elif isinstance(admitted, Fault):
            yield admitted
        else:
            stop = self._stops[_key(attempt)] = asyncio.Event()
            try:
                async for item in self._repeat(admitted, stop):
                    yield item
            finally:
                del self._stops[_key(attempt)]

    async def _repeat(self, attempt: Attempt, stop: asyncio.Event) -> AsyncIterator[Chunk | Outcome]:
        words = attempt.messages[-1].content.split() or ["…"]
        limit = attempt.options.max_tokens or len(words)
        for _, word in zip(range(limit), cycle(words), strict=False):
            await asyncio.sleep(self._pause_s)
            if stop.is_set():
                yield Cancelled()
                return
            yield Chunk("text", f"{word} ")
        yield Done(MODEL, Usage(tokens_in=len(words), tokens_out=limit), "length")


def _key(attempt: Attempt) -> tuple[int, int, int]:
    return (attempt.task, attempt.round, attempt.number)
