"""The slots of an Ollama server: their number, its source, and their state after each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping

from engine.cores.addresses import Address
from engine.cores.ollama.records import OllamaRecord
from engine.cores.ollama.slot_learning import SlotLearner, parallel_in
from engine.cores.slot_health import SlotHealth


class ServerSlots:
    """Updates a SlotHealth, and learns the number of slots if it is not configured.

    Attributes:
        health: the slots and their states.
    """

    def __init__(
        self,
        core: str,
        address: Address,
        configured: int | None,
        environ: Mapping[str, str],
        *,
        probe: Callable[[], Awaitable[str | None]],
        backoff: tuple[float, float],
    ) -> None:
        """`probe` and `backoff` as for SlotHealth; `backoff` also bounds the rests of a full server."""
        from_environ = parallel_in(environ.get("OLLAMA_NUM_PARALLEL")) if address.local else None
        self._source = "configured" if configured else "OLLAMA_NUM_PARALLEL" if from_environ else ""
        self._learner = None if self._source else SlotLearner()
        count = configured or from_environ or SlotLearner().most
        self.health = SlotHealth(core, count, probe, backoff=backoff)
        self._backoff, self._refusals = backoff, 0
        self._offer()

    @property
    def source(self) -> str:
        """The source of their number, for `CoreInfo.slots_from`."""
        return self._source or ("learnt" if self._learner is not None and self._learner.settled else "being learnt")

    def begun(self, key: Hashable, model: str) -> Callable[[OllamaRecord], None] | None:
        """Report that a request is about to be sent. Return a callback for its records, or None."""
        learner = self._learner
        if learner is None or learner.settled:
            return None
        learner.begin(key, model, _now())
        return lambda record: self._learnt(learner.record(key, record, _now()))

    def ended(self, key: Hashable, last: OllamaRecord | None) -> None:
        """Report that a request has ended, with its final record or without one. Idempotent."""
        if self._learner is not None:
            self._learnt(self._learner.end(key, last, _now()))

    def answered(self) -> None:
        """Report that a request was answered to its end."""
        self.health.up()
        self._refusals = 0

    def full(self, key: Hashable, reason: str) -> None:
        """Report that the server is full: it rests, each time longer, and is probed after that."""
        if self._learner is not None:
            self._learnt(self._learner.refused(key, _now()))
        first, longest = self._backoff
        self.health.rest(min(first * 2 ** min(self._refusals, 16), longest), reason, probe=True)
        self._refusals += 1

    def gone(self, reason: str) -> None:
        """Report that the server can't be reached."""
        self.health.fail("down", reason)
        if self._learner is not None:
            self._learnt(self._learner.forget())

    def _learnt(self, changed: bool) -> None:
        """Apply the learnt number if it has changed."""
        if changed:
            self._offer()
            self.health.models_changed()

    def _offer(self) -> None:
        if self._learner is not None:
            self.health.offer(self._learner.offered, self._learner.why)


def _now() -> float:
    return asyncio.get_running_loop().time()
