"""How many requests of a model an Ollama server runs at a time, learnt from its own streams.

The server does not tell (`OLLAMA_NUM_PARALLEL` is its own affair), and holds back what is beyond it. So one request
more than is proven is tried. Every record carries the server's moment of making it: where the first token of one
stream was made between two tokens of another, both ran at that moment, whatever our connections made of it. A request
whose first token was made only when another had ended, and which by the server's own figures had waited for about as
long, was held back.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from engine.cores.ollama.records import OllamaRecord

_REMEMBERED = 16
PATIENCE_S = 30.0
"""A request that got no token for so long, while others did, was held back."""


@dataclass(slots=True, eq=False)
class _Stream:
    """One request. By our clock: begun, heard (its first record), last_heard, ended. By the server's: first and last,
    of its tokens, and finished, of its final record.

    `behind`: the requests of its model that ran when it began, where these were as many as were proven then.
    """

    model: str
    begun: float
    behind: tuple[_Stream, ...] = ()
    first: float | None = None
    last: float | None = None
    finished: float | None = None
    heard: float | None = None
    last_heard: float | None = None
    ended: float | None = None

    def over_before(self, other: _Stream) -> bool:
        """Whether this had ended when the other's first token was made."""
        if self.finished is not None and other.first is not None:
            return self.finished <= other.first
        return self.ended is not None and other.heard is not None and self.ended <= other.heard


@dataclass(slots=True)
class SlotLearner:
    """Counts what runs at once. `now` is any clock in seconds. Every method tells whether `offered` or `why` changed.

    Attributes:
        most: never more than these. proven: so many were seen to run at a time. decided: no more are tried.
        why: why the slots beyond `offered` are not in use.
    """

    most: int = 4
    proven: int = 1
    decided: bool = False
    why: str = "not tried yet"
    _streams: dict[Hashable, _Stream] = field(default_factory=dict)
    _past: list[_Stream] = field(default_factory=list)

    @property
    def offered(self) -> int:
        """How many slots to give work: the proven ones, and one on trial."""
        return self.proven if self.decided else min(self.proven + 1, self.most)

    @property
    def settled(self) -> bool:
        """Nothing more is being learnt."""
        return self.decided or self.proven >= self.most

    def begin(self, key: Hashable, model: str, now: float) -> None:
        """A request is about to be sent."""
        others = tuple(stream for stream in self._streams.values() if stream.model == model)
        self._streams[key] = _Stream(model, now, others if len(others) >= self.proven else ())

    def record(self, key: Hashable, record: OllamaRecord, now: float) -> bool:
        """A record of its answer came."""
        stream = self._streams.get(key)
        if stream is None or self.settled:
            return False
        moment = record.moment()
        stream.heard = now if stream.heard is None else stream.heard
        stream.last_heard = now
        if record.done:
            stream.ended, stream.finished = now, moment
        if record.done or moment is None:
            return False
        stream.first = moment if stream.first is None else stream.first
        stream.last = moment
        return self._prove(stream.model)

    def end(self, key: Hashable, last: OllamaRecord | None, now: float) -> bool:
        """Its answer has ended: with its final record, or without one."""
        stream = self._streams.pop(key, None)
        if stream is None:
            return False
        stream.ended = now if stream.ended is None else stream.ended
        self._past = [*self._past, stream][-_REMEMBERED:] if self._streams else []
        held_back = bool(stream.behind) and self._held_back(stream, last, now)
        stream.behind = ()  # or each would keep all that ever ran before it
        if self.settled or not held_back:
            return False
        return self._decide(f"the server runs {self.proven} at a time: a request waited until another had ended")

    def refused(self, key: Hashable, now: float) -> bool:
        """The server was full: no more are tried, unless others filled it, with fewer of ours than are proven."""
        self.end(key, None, now)
        if self.settled or len(self._streams) < self.proven:
            return False
        return self._decide(f"the server was full with {len(self._streams)} at a time")

    def forget(self) -> bool:
        """The server is gone; the one that comes back may be set up otherwise."""
        changed = (self.proven, self.decided) != (1, False)
        self.proven, self.decided, self.why = 1, False, "not tried yet"
        self._streams.clear()
        self._past.clear()
        return changed

    def _prove(self, model: str) -> bool:
        streams = [each for each in (*self._streams.values(), *self._past) if each.model == model and each.first]
        at_once = max(sum(_runs_at(each, other.first) for each in streams) for other in streams)
        if at_once <= self.proven:
            return False
        self.proven = min(at_once, self.most)
        return True

    def _held_back(self, stream: _Stream, last: OllamaRecord | None, now: float) -> bool:
        if stream.heard is None:
            heard = [other.last_heard for other in stream.behind if other.last_heard is not None]
            return now - stream.begun >= PATIENCE_S and bool(heard) and max(heard) - stream.begun >= PATIENCE_S / 2
        over = [other.ended for other in stream.behind if other.over_before(stream) and other.ended is not None]
        if last is None or not over or len(stream.behind) - len(over) >= self.proven:
            return False
        waited = last.waited_s()
        return waited is None or waited >= (min(over) - stream.begun) / 2

    def _decide(self, why: str) -> bool:
        self.decided, self.why = True, why
        return True


def _runs_at(stream: _Stream, moment: float | None) -> bool:
    return None not in (moment, stream.first, stream.last) and stream.first <= moment <= stream.last  # type: ignore[operator]


def parallel_in(value: str | None) -> int | None:
    """What `OLLAMA_NUM_PARALLEL` says; None where it says nothing, or leaves it to the server with 0."""
    try:
        number = int((value or "").strip())
    except ValueError:
        return None
    return min(number, 256) if number > 0 else None
