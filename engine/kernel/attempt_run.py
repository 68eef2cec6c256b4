"""One attempt on one slot: its stream, its timers, and the one record of its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from engine.cores.port import (
    Attempt,
    Cancelled,
    Chunk,
    Core,
    Done,
    Explaining,
    Fault,
    FaultKind,
    Lost,
    Outcome,
    Rejected,
    Slot,
    Usage,
)
from engine.events import AttemptEnded, AttemptProgress, AttemptStarted, Event
from engine.kernel.config import KernelConfig
from engine.sanitise import described, one_line, sanitise
from engine.task import AttemptState

log = logging.getLogger(__name__)


class AttemptRun:
    """Runs one attempt. The stream is read in a task of its own, so that a core that does not stop can be left behind.

    Attributes:
        started: the event that announced it. outcome: how it ended, once it has.
        left: its stream, when that did not stop in time and was left behind.
    """

    def __init__(
        self,
        core: Core,
        slot: Slot,
        attempt: Attempt,
        *,
        ready_at: float,
        config: KernelConfig,
        now: Callable[[], float],
        publish: Callable[[Event], None],
    ) -> None:
        self._core = core
        self._slot = slot
        self._attempt = attempt
        self._config = config
        self._now = now
        self._publish = publish
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._chars = 0
        self._tokens = 0
        self._first_at: float | None = None
        self._last_text_at: float | None = None
        self._last_piece_at: float | None = None
        self._verdict: Outcome | None = None
        self._closed = False
        self._watchdog: _Watchdog | None = None
        self.outcome: Outcome | None = None
        self.left: asyncio.Task[Outcome | None] | None = None
        self.started = AttemptStarted(
            at=now(),
            task=attempt.task,
            round=attempt.round,
            attempt=attempt.number,
            slot=slot.id,
            core=core.name,
            model=attempt.model,
            ready_at=ready_at,
            prompt=attempt.messages[-1].content if attempt.messages else "",
        )

    @property
    def first_at(self) -> float | None:
        """When the first token came."""
        return self._first_at

    def so_far(self) -> list[Event]:
        """The events that bring someone who has just come up to date with this attempt."""
        events: list[Event] = [self.started]
        if self._thinking:
            events.append(self._progress(Chunk("thinking", "".join(self._thinking), tokens=0)))
        if self._text:
            events.append(self._progress(Chunk("text", "".join(self._text), tokens=self._tokens)))
        return events

    async def run(self) -> AttemptEnded:
        """Run to the end, and return its record. Cancelled, it stops the model first, and raises CancelledError."""
        pump = asyncio.create_task(self._pump(), name=f"attempt {self._attempt.task}.{self._attempt.round}")
        self._watchdog = watchdog = _Watchdog(self._overdue, pump)
        try:
            either: set[asyncio.Future[Any]] = {pump, watchdog.expired}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._verdict = Cancelled()
            pump.cancel()
            raise
        finally:
            watchdog.stop()
            interruption = None if pump.done() else await self._left_behind(pump)
            self._closed = True
            self._settle(pump)
            if interruption is not None:
                raise interruption
        return self.ended()

    def ended(self, state: AttemptState | None = None) -> AttemptEnded:
        """The terminal record; `state` overrides what the outcome says."""
        at = self._now()
        outcome = self.outcome
        usage = outcome.usage if isinstance(outcome, Done) else Usage()
        seen_s = (self._last_text_at or 0.0) - (self._first_at or 0.0)
        usage = Usage(
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out or self._tokens,
            load_s=usage.load_s,
            prefill_s=usage.prefill_s,
            decode_s=usage.decode_s or seen_s,
        )
        fault, error = _reason(outcome)
        return AttemptEnded(
            at=at,
            task=self._attempt.task,
            round=self._attempt.round,
            attempt=self._attempt.number,
            slot=self._slot.id,
            state=state or _state(outcome),
            model=outcome.model if isinstance(outcome, Done) else self._attempt.model,
            reply="".join(self._text),
            thinking="".join(self._thinking),
            usage=usage,
            ttft_s=None if self._first_at is None else self._first_at - self.started.at,
            service_s=at - self.started.at,
            fault=fault,
            error=error,
            tool_calls=outcome.tool_calls if isinstance(outcome, Done) else (),
        )

    async def _pump(self) -> Outcome | None:
        try:
            return await self._read()
        except SystemExit as error:  # in a task of its own it would end the program
            raise RuntimeError(f"SystemExit: {error}") from error

    async def _read(self) -> Outcome | None:
        """Take the chunks, and return the first outcome; what a core says after that is not asked for."""
        stream = self._core.run(self._attempt, self._slot)
        try:
            async for piece in stream:
                if not isinstance(piece, Chunk):
                    return piece
                if not self._closed:
                    self._take(piece)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        return None

    def _take(self, chunk: Chunk) -> None:
        first, self._last_piece_at = self._last_piece_at is None, self._now()
        at = self._last_piece_at
        if first and self._watchdog is not None:
            self._watchdog.check()  # from the first token's limit to the gap's, which is nearer
        if chunk.kind != "progress":
            text = sanitise(chunk.text)
            (self._text if chunk.kind == "text" else self._thinking).append(text)
            self._chars += len(text)
            self._tokens += chunk.tokens
            self._last_text_at = at
            if self._first_at is None:
                self._first_at = at
            chunk = Chunk(chunk.kind, text, chunk.tokens)
            if self._chars > self._config.max_reply_chars:
                raise _TooLongError(f"the reply passed {self._config.max_reply_chars:,} characters")
        self._publish(self._progress(chunk))

    def _progress(self, chunk: Chunk) -> AttemptProgress:
        return AttemptProgress(
            at=self._now(),
            task=self._attempt.task,
            round=self._attempt.round,
            attempt=self._attempt.number,
            slot=self._slot.id,
            kind=chunk.kind,
            text=chunk.text,
            tokens=chunk.tokens,
            done=chunk.done,
            total=chunk.total,
        )

    def _overdue(self) -> float | None:
        """Seconds until the next limit, None without one; at or below 0 the verdict has been set."""
        config, at, started = self._config, self._now(), self.started.at
        last = self._last_piece_at
        limits = [
            (config.total_s, started, FaultKind.TOTAL_TIMEOUT, "no end within {:g} s", False),
            (config.gap_s, last, FaultKind.GAP_TIMEOUT, "nothing more came for {:g} s", True)
            if last is not None
            else (config.first_token_s, started, FaultKind.FIRST_TOKEN_TIMEOUT, "no first token within {:g} s", True),
        ]
        left: float | None = None
        for limit, since, kind, text, retryable in limits:
            if limit is None or since is None:
                continue
            remaining = since + limit - at
            if remaining <= 0 and self._verdict is None:
                reason = f"{self._core.name}: {text.format(limit)}"
                if (
                    last is None
                    and isinstance(self._core, Explaining)
                    and (why := self._core.waiting_for(self._attempt))
                ):
                    reason = f"{reason}; {why}"
                self._verdict = Fault(kind, reason, retryable)
            left = remaining if left is None else min(left, remaining)
        return left

    async def _left_behind(self, pump: asyncio.Task[Outcome | None]) -> asyncio.CancelledError | None:
        """Give a cancelled stream its grace to stop; past that, call the attempt lost.

        A further cancellation does not shorten the grace, or the slot would be free while the model is still at it;
        it is returned.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._config.stop_grace_s
        interruption: asyncio.CancelledError | None = None
        while not pump.done() and (left := until - loop.time()) > 0:
            try:
                await asyncio.wait({pump}, timeout=left)
            except asyncio.CancelledError as error:
                interruption = error
        if not pump.done():
            self.outcome = Lost(f"{self._core.name} did not stop within {self._config.stop_grace_s:g} s")
            pump.add_done_callback(_forget)
            self.left = pump
        return interruption

    def _settle(self, pump: asyncio.Task[Outcome | None]) -> None:
        if self.outcome is not None:
            return
        if self._verdict is not None:
            self.outcome = self._verdict
        elif pump.cancelled():
            self.outcome = Cancelled()
        elif (error := pump.exception()) is not None:
            self.outcome = _crash(self._core.name, error)
        else:
            self.outcome = pump.result() or Fault(
                FaultKind.BROKEN_STREAM, f"{self._core.name}: the stream ended without its final record", True
            )


class _TooLongError(Exception):
    pass


class _Watchdog:
    """One timer for all limits of an attempt, set anew only when it fires, so that a chunk costs nothing."""

    __slots__ = ("_handle", "_left", "_loop", "_pump", "expired")

    def __init__(self, left: Callable[[], float | None], pump: asyncio.Task[Outcome | None]) -> None:
        self._left = left
        self._pump = pump
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self.expired: asyncio.Future[None] = self._loop.create_future()
        self.check()

    def check(self) -> None:
        """See what limit is next, now."""
        if self._handle is not None:
            self._handle.cancel()
        left = self._left()
        if left is None:
            return
        if left <= 0:
            self._pump.cancel()
            if not self.expired.done():
                self.expired.set_result(None)
            return
        self._handle = self._loop.call_later(left, self.check)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self.expired.cancel()


def _crash(core: str, error: BaseException) -> Fault:
    if isinstance(error, _TooLongError):
        return Fault(FaultKind.SERVER, str(error), False)
    log.error("core %s raised in an attempt", core, exc_info=error)
    return Fault(FaultKind.INTERNAL, one_line(f"{core}: {described(error)}"), False)


def _forget(pump: asyncio.Task[Outcome | None]) -> None:
    if not pump.cancelled() and pump.exception() is not None:
        log.warning("an attempt given up as lost ended with %r", pump.exception())


def _state(outcome: Outcome | None) -> AttemptState:
    match outcome:
        case Done():
            return AttemptState.DONE
        case Cancelled():
            return AttemptState.CANCELLED
        case _:
            return AttemptState.FAILED


def _reason(outcome: Outcome | None) -> tuple[FaultKind | None, str | None]:
    match outcome:
        case Fault(kind, reason, _):
            return kind, one_line(reason)
        case Rejected(reason):
            return FaultKind.BUSY, one_line(reason)
        case Lost(reason):
            return FaultKind.INTERNAL, one_line(reason)
        case _:
            return None, None
