"""One attempt on one slot: its stream, its time limits, and the one record of its end.

Guarantee: `run` ends. It ends with exactly one outcome, whatever the core does: a final record, an exception, a stream
that just stops, silence, or a refusal to be cancelled. When it returns, the slot is free or the outcome is Lost, and
then the caller quarantines the slot.

The stream is read by an asyncio task of its own (the pump), and `run` waits for the pump or a time limit, whichever
comes first. Reading in the caller's task was not enough: a core that ignores its cancellation would block the agent,
the kernel's stop and the program's end. The pump can be abandoned instead: after `stop_grace_s` it is left to itself,
its late chunks are dropped (`_closed`), and it stays referenced in `abandoned` so that the slot can be used again when
it ends after all.

There are three limits (first token, gap between two chunks, total) but one timer. A chunk only notes the time; the
timer, when it fires, computes what is left and sleeps again for that long. Restarting a timer at every chunk would
make each chunk cancel and create one. Only the first chunk checks the timer, because it replaces the limit for the
first token by the gap, which may be nearer.

`_decided` is set before the pump is cancelled and holds why; so a cancelled pump is never mistaken for a core that
cancelled by itself, and of two reasons in one loop step the first one counts. A second cancellation of the caller does
not shorten the grace: the slot would look free while the model still generates on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
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
from engine.sanitise import describe_error, one_line, sanitise
from engine.task import AttemptState

log = logging.getLogger(__name__)


class AttemptRun:
    """Runs one attempt.

    Attributes:
        started: the event that announced it. first_at: when the first token arrived, Unix seconds; None before.
        outcome: how it ended; None before that.
        abandoned: the task that reads its stream, if that did not stop within the grace.
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
        on_first_token: Callable[[], None] | None = None,
    ) -> None:
        self._core = core
        self._attempt = attempt
        self._where = (attempt.task, attempt.round, attempt.number, slot.id)
        self._slot = slot
        self._config = config
        self._now = now
        self._publish = publish
        self._on_first_token = on_first_token
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._chars = 0
        self._tokens = 0
        self._last_text_at: float | None = None
        self._last_chunk_at: float | None = None
        self._decided: Outcome | None = None
        self._closed = False
        self._watchdog: _Watchdog | None = None
        self.outcome: Outcome | None = None
        self.abandoned: asyncio.Task[Outcome | None] | None = None
        self.first_at: float | None = None
        self.started = AttemptStarted(
            now(),
            *self._where,
            core=core.name,
            model=attempt.model,
            ready_at=ready_at,
            prompt=attempt.messages[-1].content if attempt.messages else "",
        )

    def so_far(self) -> list[Event]:
        """The events from which a new subscriber rebuilds this attempt, with its text and thinking until now."""
        events: list[Event] = [self.started]
        if self._thinking:
            events.append(self._progress(Chunk("thinking", "".join(self._thinking), tokens=0)))
        if self._text:
            events.append(self._progress(Chunk("text", "".join(self._text), tokens=self._tokens)))
        return events

    async def run(self) -> AttemptEnded:
        """Run to the end and return its record. When cancelled, stops the model, then raises CancelledError."""
        pump = asyncio.create_task(self._pump(), name=f"attempt {self._attempt.task}.{self._attempt.round}")
        self._watchdog = watchdog = _Watchdog(self._time_left, pump)
        try:
            either: set[asyncio.Future[Any]] = {pump, watchdog.expired}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._decided = Cancelled()
            pump.cancel()
            raise
        finally:
            watchdog.stop()
            interruption = None if pump.done() else await self._wait_for_stop(pump)
            self._closed = True
            self._set_outcome(pump)
            if interruption is not None:
                raise interruption
        return self.ended()

    def ended(self, state: AttemptState | None = None) -> AttemptEnded:
        """The record of its end; `state` overrides the state that the outcome implies."""
        at = self._now()
        outcome = self.outcome
        usage = outcome.usage if isinstance(outcome, Done) else Usage()
        seen_s = (self._last_text_at or 0.0) - (self.first_at or 0.0)
        implied, fault, error = _meaning(outcome)
        return AttemptEnded(
            at,
            *self._where,
            state=state or implied,
            model=outcome.model if isinstance(outcome, Done) else self._attempt.model,
            reply="".join(self._text),
            thinking="".join(self._thinking),
            usage=replace(usage, tokens_out=usage.tokens_out or self._tokens, decode_s=usage.decode_s or seen_s),
            ttft_s=None if self.first_at is None else self.first_at - self.started.at,
            service_s=at - self.started.at,
            fault=fault,
            error=error,
            tool_calls=outcome.tool_calls if isinstance(outcome, Done) else (),
        )

    async def _pump(self) -> Outcome | None:
        try:
            return await self._read()
        except SystemExit as error:  # asyncio lets it through from any task, and the program would end
            raise RuntimeError(f"SystemExit: {error}") from error

    async def _read(self) -> Outcome | None:
        """Read the stream up to its first outcome; None if it ends without one."""
        stream = self._core.run(self._attempt, self._slot)
        try:
            async for piece in stream:
                if not isinstance(piece, Chunk):
                    return piece
                if not self._closed:
                    self._add(piece)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        return None

    def _add(self, chunk: Chunk) -> None:
        first, self._last_chunk_at = self._last_chunk_at is None, self._now()
        at = self._last_chunk_at
        if first and self._watchdog is not None:
            self._watchdog.check()  # the gap limit replaces the first token's, and may be nearer
        if chunk.kind != "progress":
            text = sanitise(chunk.text)
            (self._text if chunk.kind == "text" else self._thinking).append(text)
            self._chars += len(text)
            self._tokens += chunk.tokens
            self._last_text_at = at
            if self.first_at is None:
                self.first_at = at
                if self._on_first_token is not None:
                    self._on_first_token()
            chunk = Chunk(chunk.kind, text, chunk.tokens)
            if self._chars > self._config.max_reply_chars:
                raise _TooLongError(f"the reply passed {self._config.max_reply_chars:,} characters")
        self._publish(self._progress(chunk))

    def _progress(self, chunk: Chunk) -> AttemptProgress:
        return AttemptProgress(self._now(), *self._where, chunk.kind, chunk.text, chunk.tokens, chunk.done, chunk.total)

    def _time_left(self) -> float | None:
        """Seconds until the next time limit, None without limits; at or below 0 the outcome has been decided."""
        config, at, started = self._config, self._now(), self.started.at
        last = self._last_chunk_at
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
            if remaining <= 0 and self._decided is None:
                reason = f"{self._core.name}: {text.format(limit)}"
                if (
                    last is None
                    and isinstance(self._core, Explaining)
                    and (why := self._core.waiting_for(self._attempt))
                ):
                    reason = f"{reason}; {why}"
                self._decided = Fault(kind, reason, retryable)
            left = remaining if left is None else min(left, remaining)
        return left

    async def _wait_for_stop(self, pump: asyncio.Task[Outcome | None]) -> asyncio.CancelledError | None:
        """Wait up to `stop_grace_s` for the cancelled pump; if it does not end, abandon it: the attempt is lost.

        Returns the last CancelledError that arrived meanwhile, which does not shorten the grace.
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
            pump.add_done_callback(_log_late_error)
            self.abandoned = pump
        return interruption

    def _set_outcome(self, pump: asyncio.Task[Outcome | None]) -> None:
        if self.outcome is not None:
            return
        if self._decided is not None:
            self.outcome = self._decided
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
    """One timer for all limits of an attempt. It is set again only when it fires; see the module's docstring."""

    __slots__ = ("_handle", "_left", "_loop", "_pump", "expired")

    def __init__(self, left: Callable[[], float | None], pump: asyncio.Task[Outcome | None]) -> None:
        self._left = left
        self._pump = pump
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self.expired: asyncio.Future[None] = self._loop.create_future()
        self.check()

    def check(self) -> None:
        """Set the timer for the nearest limit; if one has passed, cancel the pump and resolve `expired`."""
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
    return Fault(FaultKind.INTERNAL, one_line(f"{core}: {describe_error(error)}"), False)


def _log_late_error(pump: asyncio.Task[Outcome | None]) -> None:
    if not pump.cancelled() and pump.exception() is not None:
        log.warning("an attempt given up as lost ended with %r", pump.exception())


def _meaning(outcome: Outcome | None) -> tuple[AttemptState, FaultKind | None, str | None]:
    """The state, fault and error of an attempt that ends so."""
    match outcome:
        case Done():
            return AttemptState.DONE, None, None
        case Cancelled():
            return AttemptState.CANCELLED, None, None
        case Fault(kind, reason, _):
            return AttemptState.FAILED, kind, one_line(reason)
        case Rejected(reason):
            return AttemptState.FAILED, FaultKind.BUSY, one_line(reason)
        case Lost(reason):
            return AttemptState.FAILED, FaultKind.INTERNAL, one_line(reason)
        case _:
            return AttemptState.FAILED, None, None
