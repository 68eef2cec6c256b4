"""The console shows what the kernel found out about a core's models, and leaves it to the kernel when to inspect."""

from __future__ import annotations

from dataclasses import replace

from aios_tui.console.app import ConsoleApp
from aios_tui.console.state.reducer import fold_all
from aios_tui.console.state.view_state import ViewState
from engine.cores.ollama.core import OllamaCore
from engine.cores.port import CoreInfo, ModelInfo
from engine.events import CoreChanged
from engine.task import TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.settling import until
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.kernel.helpers import make_kernel

T0 = 1_000_000.0
LOADED = ModelInfo("m", loaded=True, size_loaded=10, size_vram=10, expires_at=T0 + 300)


async def test_the_console_inspects_no_core_by_itself() -> None:
    now = T0 + 1
    runtime = FakeRuntime([CoreChanged(T0, CoreInfo("a", True, "m", (LOADED,), kind="ollama"))])
    app = ConsoleApp(runtime, now=lambda: now, runs=MemoryRuns())
    async with app.run_test() as pilot:
        await until(lambda: "a" in app.view.cores, pilot)
        now = T0 + 302  # its model should be unloaded
        app._tick()
        await pilot.pause()
        assert not [call for call in runtime.fake.calls if call[0] == "inspect"]


async def test_the_countdown_of_a_real_server_restarts_with_each_inspection() -> None:
    async with FakeOllama("m", loaded=["m"]) as fake:
        kernel = make_kernel(OllamaCore(fake.host))
        events = kernel.subscribe()
        await kernel.start()
        view = fold_all(ViewState(), kernel.snapshot())
        first = view.cores["ollama"].models[0].expires_at
        assert first is not None
        fake.models = [replace(model, expires_at="2031-01-01T00:00:00Z") for model in fake.models]
        await kernel.wait(await kernel.submit(TaskSpec(prompt="hi")))
        await kernel.inspect("ollama")
        fold_all(view, events.drain())
        assert (view.cores["ollama"].models[0].expires_at or 0) > first
        await kernel.stop()
