"""One attempt at the embedded model: a thread that generates, and a queue that its pieces arrive in."""

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
    """Begun when made, in the running loop. `next` gives chunks and then one outcome, last.

    What the model says waits in memory until it is read; a slot's context bounds how much that can be.
    The thread is a daemon, so that leaving Python does not wait for it; `EmbeddedCore` ends it before Python is gone.

    Attributes:
        ended: set once the model has stopped, and the thread will touch it no more.
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
        self._reading = True
        self._reason = ""
        self._done: Done | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask the model to stop. From any thread, any number of times."""
        self._cancelled.set()
        self._model.turns.wake()

    async def outlast(self) -> None:
        """Wait until the model has stopped, even when cancelled meanwhile: then the cancellation is raised after."""
        interruption: asyncio.CancelledError | None = None
        while not self.ended.is_set():
            try:
                await self.ended.wait()
            except asyncio.CancelledError as error:
                interruption = error
        if interruption is not None:
            raise interruption

    def join(self, timeout_s: float) -> bool:
        """Block until the thread is gone, at most `timeout_s` seconds. For leaving Python, when no loop runs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    async def next(self) -> Chunk | Outcome:
        """What comes next. After the outcome there is nothing more to wait for."""
        return await self._queue.get()

    # In the loop

    def _arrive(self, item: Chunk | Outcome) -> None:
        self._queue.put_nowait(item)
        if not isinstance(item, Chunk):
            self.ended.set()

    # In the thread

    def _work(self) -> None:
        try:
            if self._model.turns.take(self, self._cancelled.is_set):
                self._generate()
        except Exception as error:  # noqa: BLE001  (whatever it is, the attempt ends with it as its reason)
            self._failure = error
        finally:
            self._model.turns.leave(self)
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
            self._loop.call_soon_threadsafe(self._arrive, item)
        except RuntimeError:  # the loop is closed: nobody will ever read this
            self._cancelled.set()
            if not isinstance(item, Chunk):
                self.ended.set()

    def _on_chunk(self, chunk: dict[str, Any]) -> bool:
        try:
            self._take(chunk)
        except Exception as error:  # noqa: BLE001  (the engine would swallow it)
            self._failure = error
            return True
        return self._cancelled.is_set()

    def _take(self, chunk: dict[str, Any]) -> None:
        if (refusal := chunk.get("error")) is not None:
            self._refusal = refusal
            return
        if progress := chunk.get("prompt_progress"):
            self._post(Chunk("progress", tokens=0, done=progress["processed"], total=progress["total"]))
        elif self._reading:
            self._reading = False
            self._model.turns.leave(self)
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
            what = one_line(f"{type(self._failure).__name__}: {self._failure}", 300)
            return Fault(FaultKind.INTERNAL, f"the embedded engine failed: {what}", retryable=False)
        if self._refusal is not None:
            return _fault(self._refusal)
        if self._done is not None and self._reason:
            return self._done
        if self._cancelled.is_set():
            return Cancelled()
        return Fault(FaultKind.BROKEN_STREAM, "the embedded model's stream broke off before its end", retryable=True)


class Stream:
    """What `run` returns: begins at its first item, and stops the model when it is closed, cancelled in, or dropped.

    A class and not an async generator: a generator that its caller just drops is closed by a task of asyncio's own,
    which a closing loop does not wait for.
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
        """Stop the model if it is still at it, and return when it has stopped."""
        self._over = True
        if self._generation is not None:
            self._generation.cancel()
            await self._generation.outlast()

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
