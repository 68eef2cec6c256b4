"""Learns how many requests of a model an Ollama server runs at a time, from the server's own streams.

Why: the kernel must not send a server more requests than it runs, since Ollama's own queue has no priorities. The
server runs `OLLAMA_NUM_PARALLEL` requests of a model and queues the rest, but has no route that reports the number.

Method: the kernel gets one slot more than is proven, so one request is on trial with ordinary work. The trial ends by
one of two kinds of evidence, both from the server's clock (`created_at` is in every record), because our own clock
also measures the network, proxies and our event loop:

- Proof: the first token of one stream was made between two tokens of another stream of the same model. Then both ran
  at that moment, and the number of streams that ran at once is proven.
- Refutation: the first token was made only after another stream had ended, and by the server's statistics the request
  had waited for at least half of the time until then. Both parts are needed: a request may start late because its
  prompt is long or its model is loaded, which is no sign of a queue. A 503 with the proven number of requests in
  flight refutes, too.

Data: the running streams by attempt, and the last 16 ended ones, since a stream may end before another one's first
token proves that they overlapped. At most `most` slots are tried, and nothing is recorded once the number is settled.

Guarantee: never more than one request is on trial, so at most one task waits at the server, once. After the server
was down everything is forgotten: it may come back with another setting.

Rejected: measuring throughput (it varies with prompts and load), and probing with requests of our own (they cost GPU
time, and a busy server would be measured wrongly).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from engine.cores.ollama.records import OllamaRecord

_REMEMBERED = 16
PATIENCE_S = 30.0
"""Seconds after which a request without a token counts as queued, if others got tokens meanwhile."""


@dataclass(slots=True, eq=False)
class _Stream:
    """One request. Times in seconds.

    Attributes:
        begun, first_record, last_record, ended: by our clock.
        first_token, last_token, finished: by the server's clock; `finished` is the time of its final record.
        ahead: the requests of its model that ran when it began, if they were as many as were proven then.
    """

    model: str
    begun: float
    ahead: tuple[_Stream, ...] = ()
    first_token: float | None = None
    last_token: float | None = None
    finished: float | None = None
    first_record: float | None = None
    last_record: float | None = None
    ended: float | None = None

    def over_before(self, other: _Stream) -> bool:
        """Return True if this had ended when the other's first token was made."""
        if self.finished is not None and other.first_token is not None:
            return self.finished <= other.first_token
        return self.ended is not None and other.first_record is not None and self.ended <= other.first_record


@dataclass(slots=True)
class SlotLearner:
    """Counts the requests that run at once. `now` is any clock in seconds.

    `record`, `end`, `refused` and `forget` return True if `offered` or `why` has changed.

    Attributes:
        most: the largest number to try. proven: the largest number seen to run at a time. decided: the trials are over.
        why: the reason why the slots beyond `offered` are not in use.
    """

    most: int = 4
    proven: int = 1
    decided: bool = False
    why: str = "not tried yet"
    _streams: dict[Hashable, _Stream] = field(default_factory=dict)
    _past: list[_Stream] = field(default_factory=list)

    @property
    def offered(self) -> int:
        """The number of slots to offer: the proven ones, and one on trial."""
        return self.proven if self.decided else min(self.proven + 1, self.most)

    @property
    def settled(self) -> bool:
        """True if the number is known."""
        return self.decided or self.proven >= self.most

    def begin(self, key: Hashable, model: str, now: float) -> None:
        """Report that a request is about to be sent."""
        others = tuple(stream for stream in self._streams.values() if stream.model == model)
        self._streams[key] = _Stream(model, now, others if len(others) >= self.proven else ())

    def record(self, key: Hashable, record: OllamaRecord, now: float) -> bool:
        """Report a record of its answer."""
        stream = self._streams.get(key)
        if stream is None or self.settled:
            return False
        moment = record.moment()
        stream.first_record = now if stream.first_record is None else stream.first_record
        stream.last_record = now
        if record.done:
            stream.ended, stream.finished = now, moment
        if record.done or moment is None:
            return False
        stream.first_token = moment if stream.first_token is None else stream.first_token
        stream.last_token = moment
        return self._prove(stream.model)

    def end(self, key: Hashable, last: OllamaRecord | None, now: float) -> bool:
        """Report the end of its answer, with its final record or without one."""
        stream = self._streams.pop(key, None)
        if stream is None:
            return False
        stream.ended = now if stream.ended is None else stream.ended
        self._past = [*self._past, stream][-_REMEMBERED:] if self._streams else []
        queued = bool(stream.ahead) and self._was_queued(stream, last, now)
        stream.ahead = ()  # or each would keep all that ever ran before it
        if self.settled or not queued:
            return False
        return self._decide(f"the server runs {self.proven} at a time: a request waited until another had ended")

    def refused(self, key: Hashable, now: float) -> bool:
        """Report that the server was full. It settles the number, unless other clients' requests filled it."""
        self.end(key, None, now)
        if self.settled or len(self._streams) < self.proven:
            return False
        return self._decide(f"the server was full with {len(self._streams)} at a time")

    def forget(self) -> bool:
        """Report that the server is down. Learning begins again: it may come back with another setting."""
        changed = (self.proven, self.decided) != (1, False)
        self.proven, self.decided, self.why = 1, False, "not tried yet"
        self._streams.clear()
        self._past.clear()
        return changed

    def _prove(self, model: str) -> bool:
        streams = [each for each in (*self._streams.values(), *self._past) if each.model == model and each.first_token]
        at_once = max(sum(_ran_at(each, other.first_token) for each in streams) for other in streams)
        if at_once <= self.proven:
            return False
        self.proven = min(at_once, self.most)
        return True

    def _was_queued(self, stream: _Stream, last: OllamaRecord | None, now: float) -> bool:
        if stream.first_record is None:
            others = [other.last_record for other in stream.ahead if other.last_record is not None]
            return now - stream.begun >= PATIENCE_S and bool(others) and max(others) - stream.begun >= PATIENCE_S / 2
        over = [other.ended for other in stream.ahead if other.over_before(stream) and other.ended is not None]
        if last is None or not over or len(stream.ahead) - len(over) >= self.proven:
            return False
        waited = last.waited_s()
        return waited is None or waited >= (min(over) - stream.begun) / 2

    def _decide(self, why: str) -> bool:
        self.decided, self.why = True, why
        return True


def _ran_at(stream: _Stream, moment: float | None) -> bool:
    if moment is None or stream.first_token is None or stream.last_token is None:
        return False
    return stream.first_token <= moment <= stream.last_token


def parallel_in(value: str | None) -> int | None:
    """Parse `OLLAMA_NUM_PARALLEL`; None for no number, and for 0, which leaves the choice to the server."""
    try:
        number = int((value or "").strip())
    except ValueError:
        return None
    return min(number, 256) if number > 0 else None
