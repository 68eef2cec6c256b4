"""Fold kernel events into the console's figures of cores and slots over the last minutes.

A pure fold: times come from the events, so live runs, replays and tests give the same figures. docs/metrics.md has the
formula of each. An event about an attempt that is not known to run changes nothing. The exporters have a fold of their
own (`measurements.py`): they need totals and joins, this one needs windows and every piece of a stream.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import events as e
from engine.cores.port import SlotState
from engine.task import AttemptState, TaskState
from engine.telemetry.windows import BUCKET_S, Durations, Quantiles, Samples, Sums


@dataclass(slots=True)
class _SlotMeter:
    """State of a slot. `running`: the key of its attempt. `first_at`: arrival of that attempt's first token."""

    core: str
    state: SlotState = SlotState.UP
    running: tuple[int, int, int] | None = None
    started_at: float = 0.0
    first_at: float | None = None
    tokens: Sums = field(default_factory=Sums)
    busy: Durations = field(default_factory=Durations)
    offered: Durations = field(default_factory=Durations)


@dataclass(slots=True)
class _CoreMeter:
    tokens: Sums = field(default_factory=Sums)
    ttft: Samples = field(default_factory=Samples)
    waits: Samples = field(default_factory=Samples)
    attempts: Sums = field(default_factory=Sums)
    faults: dict[str, Sums] = field(default_factory=dict)
    swaps: Sums = field(default_factory=Sums)
    loads: Sums = field(default_factory=Sums)
    model: str | None = None


@dataclass(frozen=True, slots=True)
class CoreReading:
    """A core's figures over the window. Durations in seconds.

    Attributes:
        tokens_per_s: over about the last ten seconds. strip: the same per bucket, oldest first; the current bucket's
            is over its elapsed time, a second at least.
        utilisation: busy slot-seconds ÷ slot-seconds in which a slot was up or busy, 0 … 1; None when none was.
        ttft: from an attempt's start to its first token. wait: from ready to start.
        attempts: started ones. faults: ended ones by kind of fault, the most frequent first.
        swaps: attempts answered by another model than the previous one on that core. load_s: seconds of loading models,
            by the core's own clock. model: the one that answered last.
    """

    tokens_per_s: float
    strip: tuple[float, ...]
    utilisation: float | None
    ttft: Quantiles | None
    wait: Quantiles | None
    attempts: int
    faults: Mapping[str, int]
    swaps: int
    load_s: float
    model: str | None

    @property
    def errors(self) -> int:
        """Number of attempts that ended with a fault."""
        return sum(self.faults.values())


class Meters:
    """The fold and its readings. The times of readings must not decrease."""

    __slots__ = ("_cores", "_done", "_slots")

    def __init__(self) -> None:
        self._cores: defaultdict[str, _CoreMeter] = defaultdict(_CoreMeter)
        self._slots: dict[str, _SlotMeter] = {}
        self._done = Sums(1, 60)

    def fold(self, event: e.Event) -> None:
        """Fold one event."""
        fold = _FOLDS.get(type(event))
        if fold is not None:
            fold(self, event)

    def resync(self, snapshot: Iterable[e.Event]) -> None:
        """Continue from a kernel's snapshot after events were lost. Running attempts follow it; measurements stay."""
        events = list(snapshot)
        runs = {event.slot: event.key for event in events if isinstance(event, e.AttemptStarted)}
        at = max((event.at for event in events), default=0.0)
        present = {event.slot for event in events if isinstance(event, e.SlotChanged)}
        for id_, meter in self._slots.items():
            gone = id_ not in present and id_ not in runs
            if gone:
                meter.state = SlotState.DOWN
            if gone or runs.get(id_) != meter.running:
                _vacate(meter, at)
        for event in events:
            if isinstance(event, e.SlotChanged):
                self._slot_changed(event)
            elif isinstance(event, e.AttemptStarted):
                known = self._slots.get(event.slot)
                if known is None or known.running != event.key:
                    self._started(event)
            elif isinstance(event, e.AttemptProgress):
                slot = self._running(event)
                if slot is not None and slot.first_at is None and event.kind != "progress":
                    slot.first_at = event.at  # its arrival was lost, so it is no sample

    # Readings

    def core(self, name: str, now: float) -> CoreReading:
        """Return the figures of a core; all zeros if it is unknown."""
        meter = self._cores.get(name) or _CoreMeter()
        slots = [slot for slot in self._slots.values() if slot.core == name]
        offered = sum(slot.offered.seconds(now) for slot in slots)
        faults = {kind: round(counted.total(now)) for kind, counted in meter.faults.items()}
        return CoreReading(
            tokens_per_s=meter.tokens.per_s(now),
            strip=_strip(meter.tokens, now),
            utilisation=min(1.0, sum(slot.busy.seconds(now) for slot in slots) / offered) if offered > 0 else None,
            ttft=meter.ttft.quantiles(now),
            wait=meter.waits.quantiles(now),
            attempts=round(meter.attempts.total(now)),
            faults={kind: count for kind, count in sorted(faults.items(), key=lambda item: -item[1]) if count},
            swaps=round(meter.swaps.total(now)),
            load_s=meter.loads.total(now),
            model=meter.model,
        )

    def slot_strip(self, slot: str, now: float) -> tuple[float, ...]:
        """Return tokens a second on a slot per bucket of the window, oldest first."""
        meter = self._slots.get(slot)
        return () if meter is None else _strip(meter.tokens, now)

    def tokens_per_s(self, now: float) -> float:
        """Return tokens a second of all cores over about the last ten seconds."""
        return sum(meter.tokens.per_s(now) for meter in self._cores.values())

    def strip(self, now: float) -> tuple[float, ...]:
        """Return tokens a second of all cores per bucket of the window, oldest first."""
        strips = [_strip(meter.tokens, now) for meter in self._cores.values()]
        return tuple(map(sum, zip(*strips, strict=True))) if strips else _strip(Sums(), now)

    def tasks_per_minute(self, now: float) -> float:
        """Return the tasks done in the last minute: whole seconds and the current one."""
        return self._done.total(now)

    # Folds

    def _running(self, event: e.AttemptProgress | e.AttemptEnded) -> _SlotMeter | None:
        """Return the slot if this attempt runs on it."""
        slot = self._slots.get(event.slot)
        return slot if slot is not None and slot.running == event.key else None

    def _slot_changed(self, event: e.SlotChanged) -> None:
        slot = self._slots.setdefault(event.slot, _SlotMeter(event.core))
        slot.state = event.state
        _offer(slot, event.at)

    def _started(self, event: e.AttemptStarted) -> None:
        slot = self._slots.setdefault(event.slot, _SlotMeter(event.core))
        if slot.running is not None:
            _vacate(slot, event.at)
        slot.running, slot.started_at, slot.first_at = event.key, event.at, None
        slot.busy.begin(event.at)
        _offer(slot, event.at)
        core = self._cores[event.core]
        core.attempts.add(event.at)
        core.waits.add(event.at, max(0.0, event.at - event.ready_at))

    def _progress(self, event: e.AttemptProgress) -> None:
        slot = self._running(event)
        if slot is None or event.kind == "progress":
            return
        core = self._cores[slot.core]
        if slot.first_at is None:
            slot.first_at = event.at
            core.ttft.add(event.at, max(0.0, event.at - slot.started_at))
        slot.tokens.add(event.at, event.tokens)
        core.tokens.add(event.at, event.tokens)

    def _ended(self, event: e.AttemptEnded) -> None:
        slot = self._running(event)
        if slot is None:
            return
        _vacate(slot, event.at)
        core = self._cores[slot.core]
        if event.fault is not None:
            core.faults.setdefault(event.fault.value, Sums()).add(event.at)
        if event.state is AttemptState.DONE and event.model is not None:
            model = event.model.removesuffix(":latest")  # the same model to Ollama
            if core.model is not None and model != core.model:
                core.swaps.add(event.at)
            core.model = model
        if event.usage.load_s > 0:
            core.loads.add(event.at, event.usage.load_s)

    def _task_ended(self, event: e.TaskEnded) -> None:
        if event.state is TaskState.DONE:
            self._done.add(event.at)


def _vacate(slot: _SlotMeter, at: float) -> None:
    slot.running = None
    slot.busy.end(at)
    _offer(slot, at)


def _offer(slot: _SlotMeter, at: float) -> None:
    """Count a slot as offered while it is up or busy."""
    if slot.state is SlotState.UP or slot.running is not None:
        slot.offered.begin(at)
    else:
        slot.offered.end(at)


def _strip(tokens: Sums, now: float) -> tuple[float, ...]:
    amounts = tokens.series(now)
    running = amounts.pop() / max(1.0, now % BUCKET_S)
    return (*(amount / BUCKET_S for amount in amounts), running)


_FOLDS: dict[type[Any], Callable[[Meters, Any], None]] = {
    e.SlotChanged: Meters._slot_changed,
    e.AttemptStarted: Meters._started,
    e.AttemptProgress: Meters._progress,
    e.AttemptEnded: Meters._ended,
    e.TaskEnded: Meters._task_ended,
}
