"""OpenTelemetry: what a run did as spans and metrics, by the SDK's own exporters in memory, and once over the wire."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.trace import SpanKind, StatusCode

from aios_tui.config.settings import Settings
from aios_tui.runtime.exporters import Exports
from aios_tui.runtime.runtime import Runtime
from engine import events as e
from engine.cores.ollama.core import OllamaCore
from engine.cores.openai.core import OpenAICore
from engine.cores.port import Core, CoreInfo, Done, Fault, FaultKind, Usage
from engine.cores.scripted import ScriptedCore
from engine.errors import UsageError
from engine.kernel import Kernel
from engine.task import AttemptState, Task, TaskSpec, TaskState
from engine.telemetry.measurements import Measurement, Measurements
from engine.telemetry.otel import OpenTelemetryExporter
from tests.aios_tui.config.helpers import load_settings
from tests.engine.kernel.helpers import GateCore, make_kernel
from tests.engine.telemetry.collector import Collector
from tests.waiting import PATIENCE_S

SECRET, REPLY = "the prompt of the goose", "the reply of the goose"


class InMemory:
    """A fold and an exporter that keeps what it exports."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        self.exporter = OpenTelemetryExporter(tracers, MeterProvider([self._reader], shutdown_on_exit=False))
        self._measurements = Measurements()

    def fold(self, *events: e.Event) -> None:
        for event in events:
            self._record(self._measurements.fold(event))

    def catch_up(self, snapshot: list[e.Event]) -> None:
        self._record(self._measurements.catch_up(snapshot))

    def _record(self, measurements: Iterable[Measurement]) -> None:
        for measured in measurements:
            self.exporter.record(measured)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def points(self) -> dict[str, list[Any]]:
        """The data points of each metric."""
        data = self._reader.get_metrics_data()
        metrics = [] if data is None else data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: list(metric.data.data_points) for metric in metrics}


@asynccontextmanager
async def exporting(core: GateCore) -> AsyncIterator[tuple[Kernel, InMemory]]:
    memory = InMemory()
    made = Exports(Settings())
    made._exporters.append(memory.exporter)
    kernel = make_kernel(core)
    made.follow(kernel)
    await kernel.start()
    try:
        yield kernel, memory
    finally:
        await kernel.stop()
        await made.close()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_span_a_task_and_in_it_one_an_attempt() -> None:
    core = GateCore()
    async with exporting(core) as (kernel, memory):
        well = await kernel.submit(TaskSpec(prompt=SECRET, priority=2, client="a person", model="gate"))
        running = await core.next()
        running.say("one ")
        running.end(Fault(FaultKind.BUSY, f"busy with {SECRET}", True))
        running = await core.next()
        running.say(REPLY)
        running.end(Done("gate:1b", Usage(tokens_in=7, tokens_out=5)))
        await kernel.wait(well)
        ill = await kernel.submit(TaskSpec(prompt=SECRET))
        (await core.next()).end(Fault(FaultKind.NO_MODEL, SECRET, False))
        await kernel.wait(ill)
    spans = {(span.name, attributes(span).get("aios.attempt")): span for span in memory.spans}
    tasks = [span for span in memory.spans if span.name == "invoke_agent chat"]
    task, failed = tasks
    again, first = spans["chat gate:1b", 2], spans["chat gate", 1]
    for attempt in (again, first):
        assert attempt.kind is SpanKind.CLIENT
        assert attempt.parent is not None
        assert task.context is not None
        assert attempt.parent.span_id == task.context.span_id
    got = attributes(again)
    assert got["gen_ai.operation.name"] == "chat"
    assert got["gen_ai.provider.name"] == "gate"
    assert (got["gen_ai.request.model"], got["gen_ai.response.model"]) == ("gate", "gate:1b")
    assert (got["gen_ai.usage.input_tokens"], got["gen_ai.usage.output_tokens"]) == (7, 5)
    assert attributes(first)["error.type"] == "busy"
    assert first.status.status_code is StatusCode.ERROR
    assert again.status.status_code is StatusCode.UNSET
    assert attributes(task)["gen_ai.operation.name"] == "invoke_agent"
    assert attributes(task)["aios.task.state"] == "done"
    assert attributes(task)["aios.task.priority"] == 2
    assert (attributes(failed)["error.type"], failed.status.status_code) == ("failed", StatusCode.ERROR)
    assert task.start_time is not None and again.start_time is not None and again.end_time is not None
    assert task.start_time <= again.start_time <= again.end_time <= (task.end_time or 0)


async def test_the_four_metrics() -> None:
    core = GateCore()
    async with exporting(core) as (kernel, memory):
        task = await kernel.submit(TaskSpec(prompt="x"))
        running = await core.next()
        running.say("one ")
        running.end(Done("gate:1b", Usage(tokens_in=7, tokens_out=5)))
        await kernel.wait(task)
        cancelled = await kernel.submit(TaskSpec(prompt="x"))
        await core.next()
        await kernel.cancel(cancelled)
        await kernel.wait(cancelled)
        async with asyncio.timeout(PATIENCE_S):
            while sum(point.count for point in memory.points().get("gen_ai.client.operation.duration", ())) < 2:
                await asyncio.sleep(0.01)
        points = memory.points()
    assert set(points) == {
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION,
        gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE,
        gen_ai_metrics.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN,
        gen_ai_metrics.GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN,
    }
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in points["gen_ai.client.token.usage"]}
    assert tokens == {"input": 7, "output": 5}
    durations = {
        point.attributes.get("error.type"): point.count for point in points["gen_ai.client.operation.duration"]
    }
    assert durations == {None: 1, "cancelled": 1}
    for name in ("gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"):
        (point,) = points[name]
        assert (point.count, point.attributes["gen_ai.response.model"]) == (1, "gate:1b")
    bounds = points["gen_ai.client.token.usage"][0].explicit_bounds
    assert (bounds[0], bounds[-1]) == (1, 67108864)


async def told_by(core: Core) -> str:
    """The address in a core's report, though nobody answers there."""
    where = (await core.inspect()).where
    await core.stop(drain_s=0)
    return where


@pytest.mark.parametrize(
    ("core", "address"),
    [
        (lambda: OllamaCore("127.0.0.1:9"), ("127.0.0.1", 9)),
        (lambda: OllamaCore("https://127.0.0.1:9/far"), ("127.0.0.1", 9)),
        (lambda: OpenAICore(name="lab", base_url="[::1]:9"), ("::1", 9)),
        (lambda: OpenAICore(name="lab", base_url="https://localhost:9/v1"), ("localhost", 9)),
        (lambda: OpenAICore(name="lab", base_url="http://localhost/v1"), ("localhost", None)),
        (ScriptedCore, (None, None)),
    ],
)
async def test_the_server_is_what_its_core_says(
    core: Callable[[], Core], address: tuple[str | None, int | None]
) -> None:
    memory = InMemory()
    spec = TaskSpec(prompt=SECRET)
    for event in (
        e.CoreChanged(1, CoreInfo("gpu", True, "m", where=await told_by(core()))),
        e.TaskAccepted(1, 1, spec),
        e.AttemptStarted(2, 1, 1, 1, "gpu/0", "gpu", "m", 1.5, SECRET),
        e.AttemptEnded(3, 1, 1, 1, "gpu/0", AttemptState.DONE, "m", REPLY, REPLY, Usage(1, 2), 0.5, 1.0),
    ):
        memory.fold(event)
    found = attributes(memory.spans[0])
    assert (found.get("server.address"), found.get("server.port")) == address


@pytest.mark.parametrize("more", ["?key=SECRET", "/v1#SECRET", "?", "/#"])
def test_a_collectors_address_with_more_than_a_path_is_refused_and_not_shown(more: str) -> None:
    with pytest.raises(UsageError, match="a query or fragment") as refused:
        load_settings(environ={"AIOS_TUI_OTEL": f"http://127.0.0.1:4318{more}"})
    assert "SECRET" not in str(refused.value)


def test_names_are_those_of_the_installed_conventions() -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    memory = InMemory()
    spec = TaskSpec(prompt=SECRET)
    for event in (
        e.CoreChanged(1, CoreInfo("gpu", True, "m", kind="ollama", where="gpu-box:11434")),
        e.TaskAccepted(1, 1, spec),
        e.AttemptStarted(2, 1, 1, 1, "gpu/0", "gpu", "m", 1.5, SECRET),
        e.AttemptEnded(3, 1, 1, 1, "gpu/0", AttemptState.DONE, "m", REPLY, REPLY, Usage(1, 2), 0.5, 1.0),
        e.TaskEnded(3, 1, TaskState.DONE, Task(1, spec, 1.0, 5)),
    ):
        memory.fold(event)
    used = {name for span in memory.spans for name in attributes(span)}
    assert {name for name in used if name.startswith("gen_ai.")} <= known
    attempt = attributes(memory.spans[0])
    assert (attempt["gen_ai.provider.name"], attempt["server.address"], attempt["server.port"]) == (
        "ollama",
        "gpu-box",
        11434,
    )
    assert attempt["gen_ai.response.time_to_first_chunk"] == 0.5
    assert attempt["aios.waiting_s"] == 0.5


def test_what_was_missed_leaves_no_span_open() -> None:
    memory = InMemory()
    spec = TaskSpec(prompt="x")
    memory.fold(e.TaskAccepted(1, 1, spec))
    memory.fold(e.AttemptStarted(2, 1, 1, 1, "gpu/0", "gpu", None, 1.5, "x"))
    memory.catch_up([e.TaskRecovered(5, 2, spec, 5, 4.0, False)])
    assert [span.name for span in memory.spans] == ["chat", "invoke_agent chat"]
    assert attributes(memory.spans[1])["aios.task.state"] == "missed"
    memory.fold(e.AttemptEnded(6, 1, 1, 1, "gpu/0", AttemptState.DONE))
    memory.fold(e.TaskEnded(6, 2, TaskState.DONE, Task(2, spec, 4.0, 5)))
    assert len(memory.spans) == 3


def runtime(folder: Path, otel: bool | str) -> Runtime:
    core = "scripted:ttft=0,tps=0,tokens=4"
    return Runtime(Settings(core=core, db=folder / "h.db", agents_folder=folder, otel=otel))


async def test_over_the_wire_with_the_standard_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector().running() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a-key")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=desk")
        made = runtime(tmp_path, True)
        await made.open()
        await made.start()
        await made.kernel.wait(await made.kernel.submit(TaskSpec(prompt=SECRET, client="a person")))
        left = await made.kernel.submit(TaskSpec(prompt=SECRET))
        await made.kernel.wait(left)
        await made.close()
    names = [span.name for span in collector.spans]
    assert names.count("invoke_agent chat") == 2
    assert len([name for name in names if name.startswith("chat ")]) == 2
    assert {metric.name for metric in collector.metrics} >= {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
    }
    usage = next(metric for metric in collector.metrics if metric.name == "gen_ai.client.token.usage")
    assert usage.unit == "{token}"
    assert sum(point.sum for point in usage.histogram.data_points if _output(point)) == 8
    assert collector.resource["service.name"] == "aios-tui"
    assert collector.resource["deployment.environment"] == "desk"
    assert all(headers["x-key"] == "a-key" for headers in collector.headers)
    for secret in (SECRET, "a person"):
        assert secret.encode() not in collector.raw


def _output(point: Any) -> bool:
    return any(each.key == "gen_ai.token.type" and each.value.string_value == "output" for each in point.attributes)


async def test_an_address_of_its_own_and_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk")
    with Collector().running() as collector:
        made = runtime(tmp_path, collector.url + "/")
        await made.open()
        await made.start()
        await made.kernel.wait(await made.kernel.submit(TaskSpec(prompt="x")))
        await made.close()
    assert collector.spans
    assert collector.resource["service.name"] == "desk"


@pytest.mark.parametrize("kind", ["down", "silent"])
async def test_a_collector_that_is_down_stops_and_slows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It would be tried for ten seconds, again and again; the end waits for what CLOSE_S says."""
    monkeypatch.setattr("engine.telemetry.otel.OpenTelemetryExporter.close.__defaults__", (0.2,))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    with Collector(silent=True).running() as collector:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        made = runtime(tmp_path, collector.url if kind == "silent" else nobody)
        await made.open()
        await made.start()
        ids = await made.kernel.submit_many([TaskSpec(prompt="x")] * 50)
        for task in ids:
            assert (await made.kernel.wait(task)).state is TaskState.DONE
        if kind == "silent":
            assert await asyncio.to_thread(collector.came.wait, 20)
        async with asyncio.timeout(PATIENCE_S):
            await made.close()
        waiting = [thread for thread in threading.enumerate() if not thread.daemon and "elemetry" in thread.name]
        assert waiting == [], "no thread keeps the program from ending"


@pytest.mark.parametrize(
    ("given", "taken"),
    [("true", True), ("on", True), ("0", False), ("", False), ("http://127.0.0.1:4318/", "http://127.0.0.1:4318")],
)
def test_the_setting(given: str, taken: bool | str) -> None:
    assert load_settings(environ={"AIOS_TUI_OTEL": given}).settings.otel == taken


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("maybe", "neither true nor false nor a collector's address"),
        ("ftp://x", "neither true nor false"),
        ("http://[::1", "neither true nor false"),
        ("http://me:secret@host:4318", "put keys in OTEL_EXPORTER_OTLP_HEADERS"),
    ],
)
def test_a_setting_that_is_none(given: str, expected: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_settings(environ={"AIOS_TUI_OTEL": given})
    assert expected in str(raised.value)
    assert "secret" not in str(raised.value)
