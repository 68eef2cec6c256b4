"""The embedded core: SmolLM2-135M in this process, on llama.cpp. No server, no network, no GPU needed."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from engine.cores.embedded import weights as weights_files
from engine.cores.embedded.generation import Generation, Stream
from engine.cores.embedded.loaded_model import LoadedModel, engine_missing, engine_version
from engine.cores.embedded.requests import lacking_options, request_of
from engine.cores.embedded.weights import MODEL
from engine.cores.event_feed import EventFeed
from engine.cores.options import OptionCheck
from engine.cores.port import (
    Attempt,
    CoreInfo,
    Fault,
    FaultKind,
    ModelInfo,
    Outcome,
    Rejected,
    Slot,
    SlotEvent,
    SlotState,
)
from engine.errors import CoreError
from engine.sanitise import one_line
from engine.wording import plural

SMALLEST_CONTEXT, TRAINED_CONTEXT = 256, 8192
_EXIT_PATIENCE_S = 10.0


def available(weights: Path | None = None) -> str | None:
    """Return the reason why no embedded core is possible here, with the remedy, or None. Imports nothing heavy."""
    if reason := engine_missing():
        return reason
    try:
        weights_files.find(weights)
    except CoreError as error:
        return str(error)
    return None


def default_threads() -> int:
    """Return the number of usable processors less one: with all of them, generation collapses under other load."""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        usable = os.cpu_count() or 1
    return max(1, usable - 1)


class EmbeddedCore:
    """A `Core` (see `engine.cores.port`) with one model, `smollm2:135m`.

    Further slots give fairness, not throughput: they share the same processors.
    """

    why = ""
    """The reason why it was chosen, for `inspect`."""

    def __init__(
        self,
        *,
        slots: int = 1,
        n_ctx: int = 4096,
        threads: int | None = None,
        weights: Path | None = None,
        name: str = "embedded",
    ) -> None:
        """`n_ctx`: context of each slot in tokens, from 256 to 8192, the model's trained length.

        Each slot takes about 23 kB of memory a token. `weights`: their file, if it is not in a usual folder.
        """
        if slots < 1 or not SMALLEST_CONTEXT <= n_ctx <= TRAINED_CONTEXT or (threads is not None and threads < 1):
            raise ValueError(f"an embedded core can't have {slots=}, {n_ctx=}, {threads=}")
        self.name = name
        self._n_ctx = n_ctx
        self._threads = threads or default_threads()
        self._weights = weights
        self._slot_ids = [f"{self.name}/{index}" for index in range(slots)]
        self._model: LoadedModel | None = None
        self._stopping = False
        self._stopped = False
        self._lock = asyncio.Lock()
        self._running: dict[str, tuple[Attempt, Generation]] = {}  # by slot; the last one stays until the next
        self._feed = EventFeed()
        self._options = OptionCheck(name, lambda text: self._feed.publish(SlotEvent("notice", None, text)))

    async def start(self) -> None:
        """Load the model, in a thread. A core that has been stopped stays stopped.

        The engine holds Python's global lock while it loads, about 0.3 s: no other thread runs meanwhile.

        Raises:
            CoreError: engine or weights are missing or broken; the line says what to do.
        """
        async with self._lock:
            if self._stopped:
                raise CoreError("the embedded core has been stopped")
            if self._model is None:
                self._model = await self._load()
                atexit.register(self._leave_python)
                self._feed.publish(SlotEvent("up"))

    async def _load(self) -> LoadedModel:
        path = await asyncio.to_thread(weights_files.find, self._weights)
        await asyncio.to_thread(weights_files.preload, path)
        slots, n_ctx, threads = len(self._slot_ids), self._n_ctx, self._threads
        loading = asyncio.to_thread(LoadedModel, path, slots=slots, n_ctx=n_ctx, threads=threads)
        load = asyncio.ensure_future(loading)
        try:
            return await asyncio.shield(load)
        except asyncio.CancelledError:
            load.add_done_callback(_discard)  # loading can't be interrupted
            raise

    async def stop(self, *, drain_s: float) -> None:
        """Let attempts run for `drain_s` seconds, cancel the rest, wait for the model to stop, free it."""
        self._stopping = True
        async with self._lock:
            generations = [generation for _, generation in self._running.values()]
            try:
                async with asyncio.timeout(drain_s):
                    for generation in generations:
                        await generation.ended.wait()
            except TimeoutError:
                pass
            finally:
                for generation in generations:
                    generation.cancel()
            for generation in generations:
                await generation.wait_ended()
            model, self._model = self._model, None
            if model is not None:
                await asyncio.to_thread(model.close)
                atexit.unregister(self._leave_python)
                self._feed.publish(SlotEvent("down", reason="stopped"))
            self._stopped = True
            self._feed.close()

    def _leave_python(self) -> None:
        """Stop all generations when Python exits: a running one would abort the process."""
        for _, generation in self._running.values():
            generation.cancel()
        gone = [generation.join(_EXIT_PATIENCE_S) for _, generation in self._running.values()]
        if self._model is not None and all(gone):
            self._model.close()

    def slots(self) -> Sequence[Slot]:
        """Return the slots, `embedded/0` onwards; down before `start` and after `stop`."""
        reason = self._why_down()
        state = SlotState.DOWN if reason else SlotState.UP
        return [Slot(slot_id, self.name, state, reason) for slot_id in self._slot_ids]

    def _why_down(self) -> str:
        if self._stopping:
            return "stopped"
        return "" if self._model is not None else "not started"

    def events(self) -> AsyncIterator[SlotEvent]:
        """Up when the model is loaded, down when it is freed, and notices of ignored options; also before `start`."""
        return self._feed.events()

    def run(self, attempt: Attempt, slot: Slot) -> Stream:
        """See `Core.run`. Progress chunks come while the prompt is read, a text chunk is one token.

        Nothing happens before the first item is asked for.
        """
        return Stream(lambda: self._begin(attempt, slot))

    def _begin(self, attempt: Attempt, slot: Slot) -> Generation | Outcome:
        model = self._model
        if model is None or self._stopping:
            return Rejected("the embedded core is not running")
        if (refusal := self._refuse(attempt, slot)) is not None:
            return refusal
        admitted = self._options.admit(attempt, lacking_options(attempt, self._n_ctx))
        if isinstance(admitted, Fault):
            return admitted
        try:
            request = request_of(admitted, self._slot_ids.index(slot.id))
            generation = Generation(model, request, slot.id, format_dispensable="format" in attempt.dispensable)
        except RuntimeError as error:  # the system gives no more threads
            return Fault(FaultKind.INTERNAL, f"the embedded core: {one_line(str(error), 200)}", retryable=True)
        self._running[slot.id] = (attempt, generation)
        return generation

    def _refuse(self, attempt: Attempt, slot: Slot) -> Outcome | None:
        if attempt.model not in (None, MODEL):
            asked = one_line(attempt.model or "", 100)
            reason = f"model '{asked}' not found; installed: {MODEL}"
            return Fault(FaultKind.NO_MODEL, reason, retryable=False, model=attempt.model)
        if slot.id not in self._slot_ids:
            return Rejected(f"the embedded core has no slot {slot.id}")
        if slot.id in self._running and not self._running[slot.id][1].ended.is_set():
            return Rejected(f"slot {slot.id} is busy")
        return None

    async def cancel(self, attempt: Attempt) -> None:
        """Stop the attempt, and return when the model has: at once, or in half a second while it reads a prompt."""
        for running, generation in list(self._running.values()):
            if running.key == attempt.key:
                generation.cancel()
                await generation.ended.wait()

    async def inspect(self) -> CoreInfo:
        """Report the one model, its memory and health, without touching the model."""
        reason = self._why_down()
        if reason == "not started":
            reason = available(self._weights) or reason
        model = ModelInfo(
            name=MODEL,
            size=weights_files.SIZE,
            loaded=self._model is not None,
            size_loaded=self._model.resident if self._model else None,
            size_vram=0 if self._model else None,
            context_length=self._n_ctx,
            detail="SmolLM2-135M-Instruct, Q4_1, in process",
        )
        return CoreInfo(
            name=self.name,
            healthy=not reason,
            default_model=MODEL,
            models=(model,),
            version=engine_version(),
            where=f"in process, {plural(self._threads, 'thread')}",
            why=self.why,
            detail=reason,
        )


def _discard(load: asyncio.Future[LoadedModel]) -> None:
    if not load.cancelled() and load.exception() is None:
        load.result().close()
