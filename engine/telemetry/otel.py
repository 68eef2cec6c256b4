"""Spans and metrics by OpenTelemetry's conventions for generative AI, folded from the kernel's events.

Needs the OpenTelemetry SDK and its OTLP/HTTP exporter: the extra `otel`. Prompts, replies, error texts and client names
are not among what is sent. Names: https://opentelemetry.io/docs/specs/semconv/gen-ai/, and docs/telemetry.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from engine import events as e
from engine.cores.port import CoreInfo
from engine.task import AttemptState, TaskState
from engine.telemetry.conventions import (
    DURATION_BUCKETS,
    TOKEN_BUCKETS,
    TPOT_BUCKETS,
    TTFT_BUCKETS,
    UNKNOWN,
    Names,
    time_per_output_token,
)

log = logging.getLogger(__name__)

CLOSE_S = 3.0
"""How long the end of the program waits for what is left to be sent."""
Attributes = dict[str, str | int | float | bool]


class OtelFold:
    """A span a task, in it one an attempt, and the four metrics. Never blocks: exporting is the providers' threads'."""

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
        self._attempts: dict[tuple[int, int, int], tuple[trace.Span, e.AttemptStarted]] = {}
        self._latest = 0.0
        self._folds: dict[type, Callable[[Any], None]] = {
            e.TaskAccepted: self._accepted,
            e.TaskRecovered: self._recovered,
            e.TaskStarted: self._started,
            e.TaskRequeued: self._requeued,
            e.TaskEnded: self._ended,
            e.AttemptStarted: self._attempt_started,
            e.AttemptEnded: self._attempt_ended,
            e.CoreChanged: self._core_changed,
        }

    def fold(self, event: e.Event) -> None:
        """Take in what happened. O(1)."""
        take = self._folds.get(type(event))
        if take is not None:
            self._latest = event.at
            take(event)

    def catch_up(self, snapshot: Iterable[e.Event]) -> None:
        """Events were missed: spans whose end may be among them are closed, those of live tasks begun anew."""
        self._leave_all("missed")
        for event in snapshot:
            self.fold(event)

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """Send what is left, for at most `limit_s` seconds: a collector that is down keeps nobody waiting."""
        self._leave_all("left")
        loop = asyncio.get_running_loop()
        sent = [asyncio.Event() for _ in range(2)]

        def shut(provider: TracerProvider | MeterProvider, done: asyncio.Event) -> None:
            try:
                provider.shutdown()
            except Exception:
                log.warning("the last telemetry was not sent", exc_info=True)
            with contextlib.suppress(RuntimeError):  # the loop has gone meanwhile
                loop.call_soon_threadsafe(done.set)

        for provider, done in zip((self._tracers, self._meters), sent, strict=True):
            threading.Thread(target=shut, args=(provider, done), name="telemetry's end", daemon=True).start()
        try:
            async with asyncio.timeout(limit_s):
                for done in sent:
                    await done.wait()
        except TimeoutError:
            log.warning("the last telemetry was not sent within %g s", limit_s)

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _accepted(self, event: e.TaskAccepted) -> None:
        self._begin(event.task, event.spec.agent, event.spec.priority, event.at, {})

    def _recovered(self, event: e.TaskRecovered) -> None:
        about: Attributes = {"aios.task.recovered": True, "aios.task.interrupted": event.interrupted}
        self._begin(event.task, event.spec.agent, event.priority, event.submitted_at, about)

    def _begin(self, task: int, agent: str, priority: int, at: float, about: Attributes) -> None:
        name = agent.rpartition("/")[2]
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": name,
            "aios.task.id": task,
            "aios.task.priority": priority,
        }
        self._tasks[task] = self._tracer.start_span(
            f"invoke_agent {name}", attributes=attributes | about, start_time=_ns(at)
        )

    def _started(self, event: e.TaskStarted) -> None:
        if (span := self._tasks.get(event.task)) is not None:
            span.add_event("started", {"aios.task.dispatch_order": event.dispatch_order}, _ns(event.at))

    def _requeued(self, event: e.TaskRequeued) -> None:
        if (span := self._tasks.get(event.task)) is not None:
            span.add_event("requeued", timestamp=_ns(event.at))

    def _ended(self, event: e.TaskEnded) -> None:
        span = self._tasks.pop(event.task, None)
        if span is None:
            return
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

    def _leave_all(self, state: str) -> None:
        for span, _ in self._attempts.values():
            span.set_attribute("aios.attempt.state", state)
            span.end(_ns(self._latest))
        for span in self._tasks.values():
            span.set_attribute("aios.task.state", state)
            span.end(_ns(self._latest))
        self._attempts.clear()
        self._tasks.clear()

    # -- attempts ------------------------------------------------------------------------------------------------------

    def _attempt_started(self, event: e.AttemptStarted) -> None:
        task = self._tasks.get(event.task)
        attributes = self._about(event.core, event.model) | {
            "gen_ai.request.stream": True,
            "aios.core": event.core,
            "aios.slot": event.slot,
            "aios.task.id": event.task,
            "aios.round": event.round,
            "aios.attempt": event.attempt,
            "aios.waiting_s": max(0.0, event.at - event.ready_at),
        }
        span = self._tracer.start_span(
            f"chat {event.model}" if event.model else "chat",
            context=None if task is None else trace.set_span_in_context(task),
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=_ns(event.at),
        )
        self._attempts[event.task, event.round, event.attempt] = span, event

    def _attempt_ended(self, event: e.AttemptEnded) -> None:
        span, started = self._attempts.pop((event.task, event.round, event.attempt), (None, None))
        if span is None or started is None:
            return
        usage = event.usage
        about: Attributes = {
            "aios.attempt.state": event.state.value,
            "gen_ai.usage.input_tokens": usage.tokens_in,
            "gen_ai.usage.output_tokens": usage.tokens_out,
        }
        if event.model:
            about["gen_ai.response.model"] = event.model
            span.update_name(f"chat {event.model}")
        if event.ttft_s is not None:
            about["gen_ai.response.time_to_first_chunk"] = event.ttft_s
        span.set_attributes(about)
        fault = event.fault.value if event.fault is not None else "failed"
        if event.state is AttemptState.FAILED:
            _fail(span, fault)
        self._measure(event, started, fault)
        span.end(_ns(event.at))

    def _measure(self, event: e.AttemptEnded, started: e.AttemptStarted, fault: str) -> None:
        labels = self._about(started.core, self._names.label(started.model or event.model))
        if event.model:
            labels["gen_ai.response.model"] = self._names.label(event.model)
        usage = event.usage
        for kind, count in (("input", usage.tokens_in), ("output", usage.tokens_out)):
            if count:
                self._usage.record(count, labels | {"gen_ai.token.type": kind})
        if event.state is AttemptState.DONE:
            if event.ttft_s is not None:
                self._ttft.record(event.ttft_s, labels)
            if (each := time_per_output_token(event)) is not None:
                self._tpot.record(each, labels)
        else:
            labels["error.type"] = fault if event.state is AttemptState.FAILED else event.state.value
        self._duration.record(event.service_s, labels)

    def _about(self, core: str, model: str | None) -> Attributes:
        """Who was asked for what."""
        info = self._infos.get(core)
        provider = (info.kind if info is not None else "") or core
        found: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider}
        if model and model != UNKNOWN:
            found["gen_ai.request.model"] = model
        if info is not None:
            found |= _server(info.where)
        return found

    def _core_changed(self, event: e.CoreChanged) -> None:
        self._infos[event.info.name] = event.info


def exporting(endpoint: str | None, *, version: str, environ: Mapping[str, str] = os.environ) -> OtelFold:
    """A fold whose spans and metrics go to a collector over OTLP/HTTP.

    `endpoint` is the collector's base address; without one the `OTEL_EXPORTER_OTLP_*` variables say where, which also
    give headers, time-outs and certificates.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about: dict[str, str] = {"service.version": version}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        about["service.name"] = "aios-tui"
    resource = Resource.create(about)
    spans, metrics = (None, None) if endpoint is None else (f"{endpoint}/v1/traces", f"{endpoint}/v1/metrics")
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=spans)))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=metrics))
    return OtelFold(tracers, MeterProvider([reader], resource=resource, shutdown_on_exit=False))


def _fail(span: trace.Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(trace.StatusCode.ERROR)


def _server(where: str) -> Attributes:
    """`where` is as a core tells it: host and port, which a scheme may precede and a path follow."""
    if " " in where:
        return {}  # words, such as `in process`
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
