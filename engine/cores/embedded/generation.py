"""One attempt on the embedded model: a thread that generates, and a queue of its chunks in the event loop.

Why a thread: the engine's call blocks until the end and reports through a callback. It releases Python's global lock
while it computes, so the event loop keeps running. A thread for each attempt, not a pool: an attempt on its slot must
never wait for a thread of another one.

What makes it difficult is ending:

- Cancelling. The engine stops only when the callback returns True, which it calls after each batch of a prompt and
  after each token. `cancel` sets a flag, and the slot counts as free only when the engine has returned (`ended`).
- Leaving Python. A thread inside the engine while Python shuts down aborts the process. The thread is a daemon, so
  that Python does not wait for it, and `EmbeddedCore` stops it with a time limit before Python is gone.
- A closed event loop. A chunk for it has no reader: the generation cancels itself, and marks itself as ended.
- Errors. The engine swallows an exception of the callback and continues, so the callback catches its own, stores it,
  and stops the engine. Each thread ends with exactly one outcome, whatever has happened.

The queue has no bound: its size is limited by the slot's context. A bound would block the thread, and with it the
engine's loop, for a reader that does not come.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self

from engine.cores.embedded.loaded_model import LoadedModel
from engine.cores.embedded.weights import MODEL
from engine.cores.port import Cancelled, Chunk, Done, Fault, FaultKind, Outcome, Usage
from engine.sanitise import one_line


class Generation:
    """Starts when it is created, in the running loop. `next` gives chunks and then one outcome, last.

    Attributes:
        ended: set once the model has stopped, and the thread does not touch it any more.
    """

    def __init__(
        self, model: LoadedModel, request: dict[str, Any], name: str, *, format_dispensable: bool = False
    ) -> None:
        """`name`: the thread's. `format_dispensable`: answer freely if the engine cannot read the schema."""
        self._model = model
        self._format_dispensable = format_dispensable
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Chunk | Outcome] = asyncio.Queue()
        self.ended = asyncio.Event()
        self._cancelled = threading.Event()
        self._failure: Exception | None = None
        self._refusal: dict[str, Any] | None = None
        self._in_prefill = True
        self._reason = ""
        self._done: Done | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask the model to stop. From any thread, any number of times."""
        self._cancelled.set()
        self._model.prefill_queue.wake()

    async def wait_ended(self) -> None:
        """Wait until the model has stopped. A cancellation of the caller is raised only after that."""
        interruption: asyncio.CancelledError | None = None
        while not self.ended.is_set():
            try:
                await self.ended.wait()
            except asyncio.CancelledError as error:
                interruption = error
        if interruption is not None:
            raise interruption

    def join(self, timeout_s: float) -> bool:
        """Block until the thread has ended, at most `timeout_s` seconds; True if it has. For the exit of Python."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    async def next(self) -> Chunk | Outcome:
        """Return the next item. Do not call it again after the outcome."""
        return await self._queue.get()

    # In the loop

    def _enqueue(self, item: Chunk | Outcome) -> None:
        self._queue.put_nowait(item)
        if not isinstance(item, Chunk):
            self.ended.set()

    # In the thread

    def _run(self) -> None:
        try:
            if self._model.prefill_queue.acquire(self, self._cancelled.is_set):
                self._generate()
        except Exception as error:  # noqa: BLE001  (any error becomes the reason of the fault)
            self._failure = error
        finally:
            self._model.prefill_queue.release(self)
        self._post(self._outcome())

    def _generate(self) -> None:
        try:
            self._model.generate(self._request, self._on_chunk)
        except ValueError as error:  # raised before the first token, for a schema that the engine cannot read
            wanted = self._request.pop("response_format", None)
            if wanted is None:
                raise
            if self._format_dispensable:
                self._model.generate(self._request, self._on_chunk)
            else:
                self._refusal = {
                    "code": 400,
                    "message": f"it cannot answer in this format ({error}); see the option format",
                }

    def _post(self, item: Chunk | Outcome) -> None:
        try:
            self._loop.call_soon_threadsafe(self._enqueue, item)
        except RuntimeError:  # the loop is closed: there is no reader
            self._cancelled.set()
            if not isinstance(item, Chunk):
                self.ended.set()

    def _on_chunk(self, chunk: dict[str, Any]) -> bool:
        try:
            self._read_chunk(chunk)
        except Exception as error:  # noqa: BLE001  (the engine would swallow it)
            self._failure = error
            return True
        return self._cancelled.is_set()

    def _read_chunk(self, chunk: dict[str, Any]) -> None:
        if (refusal := chunk.get("error")) is not None:
            self._refusal = refusal
            return
        if progress := chunk.get("prompt_progress"):
            self._post(Chunk("progress", tokens=0, done=progress["processed"], total=progress["total"]))
        elif self._in_prefill:
            self._in_prefill = False
            self._model.prefill_queue.release(self)
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if thinking := delta.get("reasoning_content"):
                self._post(Chunk("thinking", thinking))
            if text := delta.get("content"):
                self._post(Chunk("text", text))
            self._reason = choice.get("finish_reason") or self._reason
        if (usage := chunk.get("usage")) is not None:
            self._done = Done(MODEL, _usage(usage, chunk["timings"]), self._reason)

    def _outcome(self) -> Outcome:
        if self._failure is not None:
            reason = one_line(f"{type(self._failure).__name__}: {self._failure}", 300)
            return Fault(FaultKind.INTERNAL, f"the embedded engine failed: {reason}", retryable=False)
        if self._refusal is not None:
            return _fault(self._refusal)
        if self._done is not None and self._reason:
            return self._done
        if self._cancelled.is_set():
            return Cancelled()
        return Fault(FaultKind.BROKEN_STREAM, "the embedded model's stream broke off before its end", retryable=True)


class Stream:
    """The iterator of `EmbeddedCore.run`: starts at its first item; stops the model when closed, cancelled or dropped.

    A class, not an async generator: a dropped generator is closed by a task of asyncio's own, and a closing loop does
    not wait for that.
    """

    def __init__(self, begin: Callable[[], Generation | Outcome]) -> None:
        self._begin = begin
        self._generation: Generation | None = None
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk | Outcome:
        if self._over:
            raise StopAsyncIteration
        item = await self._next()
        self._over = not isinstance(item, Chunk)
        return item

    async def _next(self) -> Chunk | Outcome:
        if self._generation is None:
            begun = self._begin()
            if not isinstance(begun, Generation):
                return begun
            self._generation = begun
        try:
            return await self._generation.next()
        except asyncio.CancelledError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stop the model, and return when it has stopped."""
        self._over = True
        if self._generation is not None:
            self._generation.cancel()
            await self._generation.wait_ended()

    def __del__(self) -> None:
        if self._generation is not None:
            self._generation.cancel()


def _usage(usage: dict[str, Any], timings: dict[str, Any]) -> Usage:
    return Usage(
        tokens_in=usage["prompt_tokens"],
        tokens_out=usage["completion_tokens"],
        prefill_s=timings["prompt_ms"] / 1000,
        decode_s=timings["predicted_ms"] / 1000,
    )


def _fault(refusal: dict[str, Any]) -> Fault:
    """The engine's `error` record, `{"code", "message", "type", …}`, as an outcome."""
    if refusal.get("type") == "exceed_context_size_error":
        has, holds = refusal.get("n_prompt_tokens"), refusal.get("n_ctx")
        reason = f"the prompt has {has} tokens and the embedded model's context holds {holds}; shorten the prompt"
        return Fault(FaultKind.BAD_REQUEST, reason, retryable=False)
    reason = f"the embedded model refused: {one_line(str(refusal.get('message')), 300)}"
    code = refusal.get("code")
    if isinstance(code, int) and code < 500:
        return Fault(FaultKind.BAD_REQUEST, reason, retryable=False)
    return Fault(FaultKind.SERVER, reason, retryable=True)
