"""Exports measurements as spans and metrics by OpenTelemetry's conventions for generative AI.

Needs the OpenTelemetry SDK and its OTLP/HTTP exporter: the extra `otel`. Prompts, replies, error texts and client names
are never sent. Names: https://opentelemetry.io/docs/specs/semconv/gen-ai/, and docs/telemetry.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from engine import events as e
from engine.cores.port import CoreInfo
from engine.task import AttemptState, TaskState
from engine.telemetry.conventions import DURATION_BUCKETS, TOKEN_BUCKETS, TPOT_BUCKETS, TTFT_BUCKETS, UNKNOWN, Names
from engine.telemetry.measurements import AttemptBegan, AttemptFinished, EventsMissed, Measurement

log = logging.getLogger(__name__)

CLOSE_S = 3.0
"""Seconds that the end of the program waits for the last spans and metrics to be sent."""
Attributes = dict[str, str | int | float | bool]


class OpenTelemetryExporter:
    """A span per task, in it one per attempt, and four metrics. Never blocks: the providers' threads do the sending."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracers, self._meters = tracers, meters
        self._tracer = tracers.get_tracer("aios-tui")
        meter = meters.get_meter("aios-tui")

        def histogram(name: str, unit: str, buckets: Iterable[float]) -> Any:
            return meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=list(buckets))

        self._duration = histogram("gen_ai.client.operation.duration", "s", DURATION_BUCKETS)
        self._usage = histogram("gen_ai.client.token.usage", "{token}", TOKEN_BUCKETS)
        self._ttft = histogram("gen_ai.server.time_to_first_token", "s", TTFT_BUCKETS)
        self._tpot = histogram("gen_ai.server.time_per_output_token", "s", TPOT_BUCKETS)
        self._names = Names()
        self._infos: dict[str, CoreInfo] = {}
        self._tasks: dict[int, trace.Span] = {}
        self._attempts: dict[tuple[int, int, int], trace.Span] = {}

    def record(self, measured: Measurement) -> None:
        """Add a measurement to its span and metrics. O(1)."""
        match measured:
            case e.TaskAccepted(at=at, spec=spec):
                self._start_task(measured, spec.priority, at)
            case e.TaskRecovered(submitted_at=at, priority=priority, interrupted=interrupted):
                self._start_task(measured, priority, at)
                more = {"aios.task.recovered": True, "aios.task.interrupted": interrupted}
                self._tasks[measured.task].set_attributes(more)
            case e.TaskStarted(task=task, dispatch_order=order) if task in self._tasks:
                self._tasks[task].add_event("started", {"aios.task.dispatch_order": order}, _ns(measured.at))
            case e.TaskRequeued(task=task) if task in self._tasks:
                self._tasks[task].add_event("requeued", timestamp=_ns(measured.at))
            case e.TaskEnded(task=task) if task in self._tasks:
                self._end_task(measured, self._tasks.pop(task))
            case AttemptBegan():
                self._start_attempt(measured)
            case AttemptFinished():
                self._end_attempt(measured)
            case e.CoreChanged(info=info):
                self._infos[info.name] = info
            case EventsMissed(at=at):
                self._end_all("missed", _ns(at))

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """Send what is left, within `limit_s` seconds: a collector that is down must not delay the exit for long."""
        self._end_all("left")
        loop = asyncio.get_running_loop()
        sent = [asyncio.Event() for _ in range(2)]

        def shut(provider: TracerProvider | MeterProvider, done: asyncio.Event) -> None:
            try:
                provider.shutdown()
            except Exception:
                log.warning("the last telemetry was not sent", exc_info=True)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        for provider, done in zip((self._tracers, self._meters), sent, strict=True):
            threading.Thread(target=shut, args=(provider, done), name="telemetry's end", daemon=True).start()
        try:
            async with asyncio.timeout(limit_s):
                for done in sent:
                    await done.wait()
        except TimeoutError:
            log.warning("the last telemetry was not sent within %g s", limit_s)

    def _start_task(self, event: e.TaskAccepted | e.TaskRecovered, priority: int, submitted_at: float) -> None:
        name = event.spec.agent.rpartition("/")[2]
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": name,
            "aios.task.id": event.task,
            "aios.task.priority": priority,
        }
        span = self._tracer.start_span(f"invoke_agent {name}", attributes=attributes, start_time=_ns(submitted_at))
        self._tasks[event.task] = span

    def _end_task(self, event: e.TaskEnded, span: trace.Span) -> None:
        task = event.final
        span.set_attributes(
            {
                "aios.task.state": event.state.value,
                "aios.task.priority": task.priority,
                "aios.task.rounds": task.rounds,
                "gen_ai.usage.input_tokens": task.tokens_in,
                "gen_ai.usage.output_tokens": task.tokens_out,
            }
        )
        if event.state is TaskState.FAILED:
            _fail(span, "failed")
        span.end(_ns(event.at))

    def _end_all(self, state: str, at: int | None = None) -> None:
        """End every open span, attempts before their tasks. `at`: Unix nanoseconds, None for now."""
        for kind, spans in (("attempt", self._attempts), ("task", self._tasks)):
            for span in spans.values():
                span.set_attribute(f"aios.{kind}.state", state)
                span.end(at)
            spans.clear()

    def _start_attempt(self, began: AttemptBegan) -> None:
        event = began.event
        task = self._tasks.get(event.task)
        attributes = self._server(event.core, event.model) | {
            "gen_ai.request.stream": True,
            "aios.core": event.core,
            "aios.slot": event.slot,
            "aios.task.id": event.task,
            "aios.round": event.round,
            "aios.attempt": event.attempt,
            "aios.waiting_s": began.waiting_s,
        }
        self._attempts[event.key] = self._tracer.start_span(
            f"chat {event.model}" if event.model else "chat",
            context=None if task is None else trace.set_span_in_context(task),
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=_ns(event.at),
        )

    def _end_attempt(self, finished: AttemptFinished) -> None:
        event = finished.event
        span = self._attempts.pop(event.key, None)
        if span is None or finished.started is None:
            return
        attributes: Attributes = {
            "aios.attempt.state": event.state.value,
            "gen_ai.usage.input_tokens": event.usage.tokens_in,
            "gen_ai.usage.output_tokens": event.usage.tokens_out,
        }
        if event.model:
            attributes["gen_ai.response.model"] = event.model
            span.update_name(f"chat {event.model}")
        if event.ttft_s is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = event.ttft_s
        span.set_attributes(attributes)
        if event.state is AttemptState.FAILED and finished.error is not None:
            _fail(span, finished.error)
        self._record_metrics(finished, finished.started)
        span.end(_ns(event.at))

    def _record_metrics(self, finished: AttemptFinished, started: e.AttemptStarted) -> None:
        event = finished.event
        labels = self._server(started.core, self._names.label(started.model or event.model))
        if event.model:
            labels["gen_ai.response.model"] = self._names.label(event.model)
        for kind, count in (("input", event.usage.tokens_in), ("output", event.usage.tokens_out)):
            if count:
                self._usage.record(count, labels | {"gen_ai.token.type": kind})
        if finished.error is not None:
            labels["error.type"] = finished.error
        elif event.ttft_s is not None:
            self._ttft.record(event.ttft_s, labels)
        if finished.tpot_s is not None:
            self._tpot.record(finished.tpot_s, labels)
        self._duration.record(event.service_s, labels)

    def _server(self, core: str, model: str | None) -> Attributes:
        """Return the attributes of the requested model and the server that is asked."""
        info = self._infos.get(core)
        provider = (info.kind if info is not None else "") or core
        found: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider}
        if model and model != UNKNOWN:
            found["gen_ai.request.model"] = model
        return found if info is None else found | _address(info.where)


def exporting(endpoint: str | None, *, version: str, environ: Mapping[str, str] = os.environ) -> OpenTelemetryExporter:
    """Return an exporter that sends to a collector over OTLP/HTTP.

    `endpoint` is the collector's base address; None takes it from the `OTEL_EXPORTER_OTLP_*` variables, which in either
    case give headers, time-outs and certificates.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes: dict[str, str] = {"service.version": version}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes["service.name"] = "aios-tui"
    resource = Resource.create(attributes)
    spans, metrics = (None, None) if endpoint is None else (f"{endpoint}/v1/traces", f"{endpoint}/v1/metrics")
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=spans)))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=metrics))
    return OpenTelemetryExporter(tracers, MeterProvider([reader], resource=resource, shutdown_on_exit=False))


def _fail(span: trace.Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(trace.StatusCode.ERROR)


def _address(where: str) -> Attributes:
    """Return the host and port in a core's `where`, such as `[http://]host:port[/path]`."""
    if " " in where:
        return {}  # a description, such as `in process`
    try:
        parts = urlsplit(where if "://" in where else f"//{where}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    if not host:
        return {}
    return {"server.address": host} | ({"server.port": port} if port else {})


def _ns(at: float) -> int:
    return round(at * 1e9)
