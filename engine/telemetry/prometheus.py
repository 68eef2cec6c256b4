"""Exports measurements as counters, gauges and histograms in Prometheus' text format.

Needs prometheus-client: the extra `metrics`. Names and formulas: docs/telemetry.md.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from engine import events as e
from engine.sanitise import one_line
from engine.telemetry import measurements as m
from engine.telemetry.conventions import DURATION_BUCKETS, TPOT_BUCKETS, TTFT_BUCKETS, UNKNOWN, Names

WAITING_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class PrometheusExporter:
    """Keeps the metrics; `exposition` is what a scraper reads. For one thread."""

    def __init__(self, *, version: str = "0") -> None:
        self.registry = CollectorRegistry()
        self._agents, self._cores, self._models = Names(), Names(), Names()
        self._make_metrics()
        self._counter("build", "The program; always 1.", "version", gauge=True).labels(one_line(version, 60)).set(1)
        ProcessCollector(registry=self.registry)

    def _make_metrics(self) -> None:
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
        self._slots = self._counter("slots", "Slots by state.", "core", "state", gauge=True)
        self._core_up = self._counter(
            "core_up", "1 when the core was healthy at its last inspection.", "core", gauge=True
        )
        self._missed = self._counter("events_missed", "Times that events came faster than they were counted.")

    def _counter(self, name: str, help: str, *labels: str, gauge: bool = False) -> Any:
        kind = Gauge if gauge else Counter
        suffix = "_info" if name == "build" else ""
        return kind(f"aios_{name}{suffix}", help, labels, registry=self.registry)

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"aios_{name}", help, labels, buckets=buckets, registry=self.registry)

    def record(self, measured: m.Measurement) -> None:
        """Count a measurement. O(1)."""
        match measured:
            case e.TaskAccepted(spec=spec):
                self._submitted.labels(spec.priority).inc()
            case m.TaskCount(running, priority, change):
                (self._running if running else self._queued).labels(priority).inc(change)
            case e.TaskEnded(at=at, state=state, final=task):
                self._tasks_ended.labels(state.value, task.priority, self._agents.label(task.spec.agent)).inc()
                self._turnaround.labels(task.priority).observe(max(0.0, at - task.submitted_at))
            case m.AttemptBegan(waiting_s=waiting_s, priority=priority_, resumed=False):
                self._waiting.labels(UNKNOWN if priority_ is None else priority_).observe(waiting_s)
            case m.AttemptFinished():
                self._record_attempt(measured)
            case e.ModelSwapped(core=core):
                self._swaps.labels(self._cores.label(core)).inc()
            case e.CoreChanged(info=info):
                self._core_up.labels(self._cores.label(info.name)).set(int(info.healthy))
            case m.SlotCount(core, state, change):
                self._slots.labels(self._cores.label(core), state.value).inc(change)
            case m.EventsMissed():
                self._missed.inc()
                self._queued.clear()
                self._running.clear()

    def _record_attempt(self, finished: m.AttemptFinished) -> None:
        event, usage = finished.event, finished.event.usage
        labels = self._cores.label(finished.core), self._models.label(event.model)
        self._attempts.labels(*labels, event.state.value).inc()
        self._service.labels(*labels).observe(event.service_s)
        self._tokens_in.labels(*labels).inc(usage.tokens_in)
        self._tokens_out.labels(*labels).inc(usage.tokens_out)
        if event.ttft_s is not None:
            self._ttft.labels(*labels).observe(event.ttft_s)
        if finished.tpot_s is not None:
            self._tpot.labels(*labels).observe(finished.tpot_s)
        if event.fault is not None:
            self._errors.labels(labels[0], event.fault.value).inc()
        if finished.load_s:
            self._loads.labels(*labels).inc()
            self._load_s.labels(*labels).inc(finished.load_s)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return the text and its content type, in the version that the header `Accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
