"""Prometheus' text says what the kernel did: read back with Prometheus' own parser."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from prometheus_client import REGISTRY

from aios_tui.config.settings import Settings
from aios_tui.runtime import exporters
from aios_tui.runtime.exporters import Exports
from aios_tui.runtime.runtime import Runtime
from aios_tui.runtime.served import ServedRuntime, open_sockets
from engine import events as e
from engine.cores.port import CoreInfo, Done, Fault, FaultKind, SlotState, Usage
from engine.errors import UsageError
from engine.kernel import Kernel
from engine.task import AttemptState, Task, TaskSpec, TaskState
from engine.telemetry.conventions import MAX_NAMES
from engine.telemetry.measurements import Measurement, Measurements
from engine.telemetry.prometheus import PrometheusExporter
from tests.engine.kernel.helpers import GateCore, make_kernel
from tests.engine.telemetry.exposition import Samples, parsed, value
from tests.waiting import PATIENCE_S

TOKEN = "a-token-of-some-length"


def read(exporter: PrometheusExporter) -> Samples:
    return parsed(exporter.exposition()[0].decode())


def record(exporter: PrometheusExporter, measurements: Iterable[Measurement]) -> None:
    for measured in measurements:
        exporter.record(measured)


def folded(events: Sequence[e.Event]) -> Samples:
    exporter, measurements = PrometheusExporter(), Measurements()
    for event in events:
        record(exporter, measurements.fold(event))
    return read(exporter)


@asynccontextmanager
async def exporting(core: GateCore) -> AsyncIterator[tuple[Kernel, Exports]]:
    made = Exports(Settings(metrics=True))
    made.served = True
    made.open()
    kernel = make_kernel(core, policy="npps")
    made.follow(kernel)
    await kernel.start()
    try:
        yield kernel, made
    finally:
        await kernel.stop()
        await made.close()


async def scraped(made: Exports, name: str, expected: float, **labels: str) -> Samples:
    """Wait until a sample has the expected value, then return the metrics: events are folded later."""
    async with asyncio.timeout(PATIENCE_S):
        while value(now := parsed(made.exposition("")[0].decode()), name, **labels) != expected:
            await asyncio.sleep(0.01)
    return now


async def test_what_a_run_did_is_what_is_read() -> None:
    core = GateCore()
    async with exporting(core) as (kernel, made):
        ids = await kernel.submit_many([TaskSpec(prompt="x", priority=priority) for priority in (5, 2, 2, 7)])
        running = await core.next()
        now = await scraped(made, "aios_tasks_running", 1)
        assert value(now, "aios_tasks_submitted_total") == 4
        assert (value(now, "aios_tasks_queued"), value(now, "aios_tasks_queued", priority="2")) == (3, 1)
        assert value(now, "aios_tasks_running", priority="2") == 1
        assert value(now, "aios_core_up", core="gate") == 1
        assert (value(now, "aios_slots", state="up"), value(now, "aios_slots", state="down")) == (1, 0)
        running.say("one ")
        running.end(tokens=3)
        (await core.next()).end(Done("gate", Usage(tokens_in=7, tokens_out=5, load_s=1.5)))
        (await core.next()).end(Fault(FaultKind.NO_MODEL, "gone", False))
        for task in ids[:3]:
            await kernel.wait(task)
        await core.next()
        kernel.reprioritise(ids[3], 9)
        await kernel.cancel(ids[3])
        await kernel.wait(ids[3])
        after = await scraped(made, "aios_tasks_total", 4)
    assert {
        state: value(after, "aios_tasks_total", state=state, agent="chat") for state in ("done", "failed", "cancelled")
    } == {"done": 2, "failed": 1, "cancelled": 1}
    assert value(after, "aios_tasks_total", priority="9", state="cancelled") == 1
    assert value(after, "aios_tasks_queued") == value(after, "aios_tasks_running") == 0
    assert value(after, "aios_attempts_total", core="gate", model="gate", state="done") == 2
    assert value(after, "aios_errors_total", core="gate", fault="no_model") == 1
    assert value(after, "aios_input_tokens_total") == 2 + 7
    assert value(after, "aios_output_tokens_total", model="gate") == 3 + 5
    assert value(after, "aios_waiting_seconds_count") == 4
    assert value(after, "aios_waiting_seconds_count", priority="2") == 2
    assert value(after, "aios_turnaround_seconds_count") == 4
    assert value(after, "aios_time_to_first_token_seconds_count") == 1
    assert value(after, "aios_time_per_output_token_seconds_count") == 1
    assert value(after, "aios_model_loads_total") == 1
    assert value(after, "aios_model_load_seconds_total") == 1.5


def ended(at: float, model: str, *, slot: str = "gpu/0", state: AttemptState = AttemptState.DONE) -> e.AttemptEnded:
    usage = Usage(tokens_in=1, tokens_out=11)
    return e.AttemptEnded(at, 1, 1, 1, slot, state, model, usage=usage, ttft_s=0.5, service_s=3.0)


def test_cores_and_their_swaps() -> None:
    now = folded(
        [
            e.CoreChanged(0, CoreInfo("gpu", True, "a", one_model=True)),
            e.CoreChanged(0, CoreInfo("far", False, None)),
            e.ModelSwapped(1, "gpu", "gpu/0", 3, "a", "b"),
            e.ModelSwapped(2, "gpu", "gpu/0", 4, "b", "a"),
        ]
    )
    assert (value(now, "aios_model_swaps_total", core="gpu"), value(now, "aios_model_swaps_total")) == (2, 2)
    assert (value(now, "aios_core_up", core="gpu"), value(now, "aios_core_up", core="far")) == (1, 0)


def test_time_per_output_token_is_of_attempts_that_ended_well() -> None:
    well = folded([ended(0, "a"), ended(1, "b")])
    assert value(well, "aios_time_per_output_token_seconds_sum", model="b") == pytest.approx(2.5 / 10)
    failed = folded([ended(0, "a", state=AttemptState.FAILED)])
    assert value(failed, "aios_time_per_output_token_seconds_count") == 0


def test_a_slot_is_in_one_state_at_a_time() -> None:
    states = (SlotState.UP, SlotState.SUSPECT, SlotState.DOWN, SlotState.UP)
    now = folded([e.SlotChanged(0, f"gpu/{n}", "gpu", state, "") for n in (0, 1) for state in states[: n + 2]])
    shown = {state: value(now, "aios_slots", core="gpu", state=state) for state in ("up", "suspect", "down")}
    assert shown == {"up": 0, "suspect": 1, "down": 1}


def test_names_are_bounded_and_harmless() -> None:
    names = [f"model {n}\n\x1b[2J\"}} evil{{x='" for n in range(MAX_NAMES + 20)]
    now = folded([ended(n, name) for n, name in enumerate(names)])
    models = {dict(labels)["model"] for (name, labels) in now if name == "aios_attempts_total"}
    assert len(models) == MAX_NAMES + 1
    assert value(now, "aios_attempts_total", model="other") == 20
    assert not any("\x1b" in model or "\n" in model for model in models)
    agents = [Task(n, TaskSpec(prompt="x", agent=f"a{n}"), 0.0, 5) for n in range(MAX_NAMES + 3)]
    now = folded([e.TaskEnded(1, task.id, TaskState.DONE, task) for task in agents])
    assert value(now, "aios_tasks_total", agent="other") == 3


def test_what_was_missed_is_said_and_the_gauges_are_right_again() -> None:
    exporter, measurements = PrometheusExporter(), Measurements()
    spec = TaskSpec(prompt="x", priority=3)
    for task in range(5):
        record(exporter, measurements.fold(e.TaskAccepted(0, task, spec)))
    snapshot: list[e.Event] = [e.TaskRecovered(1, 7, spec, 4, 0.0, False), e.TaskStarted(1, 7, 1, None)]
    record(exporter, measurements.catch_up(snapshot))
    now = read(exporter)
    assert (value(now, "aios_events_missed_total"), value(now, "aios_tasks_submitted_total")) == (1, 5)
    assert (value(now, "aios_tasks_queued"), value(now, "aios_tasks_running", priority="4")) == (0, 1)


def test_the_global_registry_is_left_alone() -> None:
    PrometheusExporter()
    assert not any(family.name.startswith("aios") for family in REGISTRY.collect())


async def test_more_events_than_fit_are_caught_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "CAPACITY", 10)
    core = GateCore()
    async with exporting(core) as (kernel, made):
        await kernel.submit_many([TaskSpec(prompt="x")] * 50)
        await core.next()
        now = await scraped(made, "aios_tasks_queued", 49)
        assert value(now, "aios_events_missed_total") == 1
        assert value(now, "aios_tasks_running") == 1


async def test_an_exporter_that_fails_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    core = GateCore()
    async with exporting(core) as (kernel, made):

        class Broken:
            def record(self, _: Measurement) -> None:
                raise RuntimeError("broken")

        made._exporters.insert(0, Broken())
        task = await kernel.submit(TaskSpec(prompt="x"))
        (await core.next()).end()
        await kernel.wait(task)
        await scraped(made, "aios_tasks_total", 1)
    assert "Broken is off from now on" in caplog.text


async def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = importlib.import_module

    def absent(name: str, package: str | None = None) -> ModuleType:
        if name == "engine.telemetry.prometheus":
            raise ModuleNotFoundError("no", name="prometheus_client")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    runtime = ServedRuntime(Settings(metrics=True, db=tmp_path / "h.db", agents_folder=tmp_path))
    with pytest.raises(
        UsageError, match=r"^the setting metrics needs prometheus-client: run `make install` .* extra `metrics`$"
    ):
        await runtime.open()
    await runtime.close()
    unserved = Runtime(Settings(metrics=True, db=tmp_path / "other.db", agents_folder=tmp_path))
    await unserved.open()
    await unserved.close()


@pytest.mark.parametrize("on", [True, False])
async def test_the_route_is_there_when_asked_for_and_under_the_guard(tmp_path: Path, on: bool) -> None:
    settings = Settings(
        metrics=on,
        token=TOKEN,
        core="scripted:ttft=0,tps=0,tokens=4",
        db=tmp_path / "h.db",
        agents_folder=tmp_path,
        port=0,
    )
    runtime = ServedRuntime(settings, open_sockets(settings))
    try:
        await runtime.open()
        await runtime.start()
        url = await runtime.serving()
        await runtime.kernel.wait(await runtime.kernel.submit(TaskSpec(prompt="x", priority=1)))
        async with httpx.AsyncClient(base_url=url or "") as http:
            assert (await http.get("/metrics")).status_code == 401
            shown = {"authorization": f"Bearer {TOKEN}"}
            assert (await http.get("/metrics", headers=shown | {"host": "evil.example"})).status_code == 403
            if not on:
                assert (await http.get("/metrics", headers=shown)).status_code == 404
                return
            await scraped(runtime.exports, "aios_tasks_total", 1)
            answer = await http.get("/metrics", headers=shown)
            assert answer.headers["content-type"].startswith("text/plain; version=")
            now = parsed(answer.text)
            assert value(now, "aios_tasks_total", state="done", priority="1") == 1
            assert value(now, "aios_output_tokens_total", core="scripted") == 4
            openmetrics = await http.get("/metrics", headers=shown | {"accept": "application/openmetrics-text"})
            assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
            assert openmetrics.text.endswith("# EOF\n")
            assert (await http.get("/openapi.json", headers=shown)).json()["paths"]["/metrics"]
    finally:
        await runtime.close()


async def test_what_happens_last_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "SLICE", 1)
    core = GateCore()
    async with exporting(core) as (kernel, made):
        await kernel.submit_many([TaskSpec(prompt="x")] * 200)
        await core.next()
    now = parsed(made.exposition("")[0].decode())
    assert (value(now, "aios_tasks_running"), value(now, "aios_tasks_queued")) == (0, 200)
    assert value(now, "aios_attempts_total", state="interrupted") == 1
