"""The kernel's counters, gauges and histograms in Prometheus' text format, folded from its events.

Needs prometheus-client: the extra `metrics`. Names and formulas: docs/telemetry.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from engine import events as e
from engine.cores.port import SlotState
from engine.sanitise import one_line
from engine.telemetry.conventions import (
    DURATION_BUCKETS,
    LOAD_S,
    TPOT_BUCKETS,
    TTFT_BUCKETS,
    UNKNOWN,
    Names,
    time_per_output_token,
)

WAITING_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(slots=True)
class _Live:
    """A task that has not ended, as far as the gauges need it."""

    priority: int
    running: bool = False


class PrometheusFold:
    """Give it every event, in order; `exposition` is what a scraper reads. Not for several threads."""

    def __init__(self, *, version: str = "0") -> None:
        self.registry = CollectorRegistry()
        self._agents, self._cores, self._models = Names(), Names(), Names()
        self._tasks: dict[int, _Live] = {}
        self._core_of: dict[str, str] = {}
        self._slots: dict[str, tuple[str, SlotState]] = {}
        self._folds: dict[type, Callable[[Any], None]] = {
            e.TaskAccepted: self._accepted,
            e.TaskRecovered: self._recovered,
            e.TaskStarted: self._started,
            e.TaskRequeued: self._requeued,
            e.TaskReprioritised: self._reprioritised,
            e.TaskEnded: self._ended,
            e.AttemptStarted: self._attempt_started,
            e.AttemptEnded: self._attempt_ended,
            e.ModelSwapped: self._swapped,
            e.CoreChanged: self._core_changed,
            e.SlotChanged: self._slot_changed,
        }
        self._make()
        self._counter("build", "The program; always 1.", "version", gauge=True).labels(one_line(version, 60)).set(1)
        ProcessCollector(registry=self.registry)

    def _make(self) -> None:
        seconds, by_model = self._histogram, ("core", "model")
        self._submitted = self._counter("tasks_submitted", "Tasks accepted.", "priority")
        self._tasks_ended = self._counter("tasks", "Tasks ended.", "state", "priority", "agent")
        self._queued = self._counter("tasks_queued", "Tasks not started, held ones too.", "priority", gauge=True)
        self._running = self._counter("tasks_running", "Tasks started, not ended.", "priority", gauge=True)
        self._waiting = seconds("waiting_seconds", "From ready to start, of each attempt.", WAITING_BUCKETS, "priority")
        self._turnaround = seconds(
            "turnaround_seconds", "From submission to end, of each task.", WAITING_BUCKETS, "priority"
        )
        self._attempts = self._counter("attempts", "Attempts ended.", *by_model, "state")
        self._service = seconds("service_seconds", "From start to end, of each attempt.", DURATION_BUCKETS, *by_model)
        self._ttft = seconds(
            "time_to_first_token_seconds", "From an attempt's start to its first token.", TTFT_BUCKETS, *by_model
        )
        self._tpot = seconds(
            "time_per_output_token_seconds", "For each token after the first.", TPOT_BUCKETS, *by_model
        )
        self._tokens_in = self._counter("input_tokens", "Tokens of prompts, as the core counts.", *by_model)
        self._tokens_out = self._counter("output_tokens", "Tokens written, as the core counts.", *by_model)
        self._errors = self._counter("errors", "Attempts that failed.", "core", "fault")
        self._loads = self._counter("model_loads", "Attempts for which a model was loaded.", *by_model)
        self._load_s = self._counter("model_load_seconds", "Time spent loading models.", *by_model)
        self._swaps = self._counter("model_swaps", "Changes of model on a core that holds one at a time.", "core")
        self._slots_now = self._counter("slots", "Slots by state.", "core", "state", gauge=True)
        self._core_up = self._counter("core_up", "1 when the core was well when last looked at.", "core", gauge=True)
        self._missed = self._counter("events_missed", "Times that events came faster than they were counted.")

    def _counter(self, name: str, words: str, *labels: str, gauge: bool = False) -> Any:
        kind = Gauge if gauge else Counter
        suffix = "_info" if name == "build" else ""
        return kind(f"aios_{name}{suffix}", words, labels, registry=self.registry)

    def _histogram(self, name: str, words: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"aios_{name}", words, labels, buckets=buckets, registry=self.registry)

    def fold(self, event: e.Event) -> None:
        """Count what happened. O(1)."""
        take = self._folds.get(type(event))
        if take is not None:
            take(event)

    def catch_up(self, snapshot: Iterable[e.Event]) -> None:
        """Events were missed: set the gauges by the kernel's present state. What was missed is not counted."""
        self._missed.inc()
        self._tasks.clear()
        for gauge in (self._queued, self._running):
            gauge.clear()
        for event in snapshot:
            if isinstance(event, e.TaskRecovered | e.TaskStarted | e.CoreChanged | e.SlotChanged):
                self.fold(event)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The text, and its content type, in the version that the header `Accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _accepted(self, event: e.TaskAccepted) -> None:
        self._submitted.labels(event.spec.priority).inc()
        self._enter(event.task, event.spec.priority)

    def _recovered(self, event: e.TaskRecovered) -> None:
        self._enter(event.task, event.priority)

    def _enter(self, task: int, priority: int) -> None:
        self._leave(task)
        self._tasks[task] = _Live(priority)
        self._queued.labels(priority).inc()

    def _leave(self, task: int) -> _Live | None:
        live = self._tasks.pop(task, None)
        if live is not None:
            self._gauge(live).dec()
        return live

    def _gauge(self, live: _Live) -> Any:
        return (self._running if live.running else self._queued).labels(live.priority)

    def _move(self, task: int, *, running: bool | None = None, priority: int | None = None) -> None:
        live = self._leave(task)
        if live is None:
            return
        live.running = live.running if running is None else running
        live.priority = live.priority if priority is None else priority
        self._tasks[task] = live
        self._gauge(live).inc()

    def _started(self, event: e.TaskStarted) -> None:
        self._move(event.task, running=True)

    def _requeued(self, event: e.TaskRequeued) -> None:
        self._move(event.task, running=False)

    def _reprioritised(self, event: e.TaskReprioritised) -> None:
        self._move(event.task, priority=event.priority)

    def _ended(self, event: e.TaskEnded) -> None:
        self._leave(event.task)
        task = event.final
        self._tasks_ended.labels(event.state.value, task.priority, self._agents.label(task.spec.agent)).inc()
        self._turnaround.labels(task.priority).observe(max(0.0, event.at - task.submitted_at))

    # -- attempts ------------------------------------------------------------------------------------------------------

    def _attempt_started(self, event: e.AttemptStarted) -> None:
        self._core_of[event.slot] = event.core
        live = self._tasks.get(event.task)
        priority = UNKNOWN if live is None else live.priority
        self._waiting.labels(priority).observe(max(0.0, event.at - event.ready_at))

    def _attempt_ended(self, event: e.AttemptEnded) -> None:
        name = self._core_of.get(event.slot, event.slot.rpartition("/")[0])
        core, model, usage = self._cores.label(name), self._models.label(event.model), event.usage
        self._attempts.labels(core, model, event.state.value).inc()
        self._service.labels(core, model).observe(event.service_s)
        self._tokens_in.labels(core, model).inc(usage.tokens_in)
        self._tokens_out.labels(core, model).inc(usage.tokens_out)
        if event.ttft_s is not None:
            self._ttft.labels(core, model).observe(event.ttft_s)
        if (each := time_per_output_token(event)) is not None:
            self._tpot.labels(core, model).observe(each)
        if event.fault is not None:
            self._errors.labels(core, event.fault.value).inc()
        if usage.load_s >= LOAD_S:
            self._loads.labels(core, model).inc()
            self._load_s.labels(core, model).inc(usage.load_s)

    def _swapped(self, event: e.ModelSwapped) -> None:
        self._swaps.labels(self._cores.label(event.core)).inc()

    # -- cores ---------------------------------------------------------------------------------------------------------

    def _core_changed(self, event: e.CoreChanged) -> None:
        info = event.info
        self._core_up.labels(self._cores.label(info.name)).set(int(info.healthy))

    def _slot_changed(self, event: e.SlotChanged) -> None:
        before = self._slots.get(event.slot)
        self._slots[event.slot] = event.core, event.state
        if before is None:
            for state in SlotState:  # a state without slots is 0, not absent
                self._slots_now.labels(self._cores.label(event.core), state.value).inc(0)
        else:
            self._slots_now.labels(self._cores.label(before[0]), before[1].value).dec()
        self._slots_now.labels(self._cores.label(event.core), event.state.value).inc()
