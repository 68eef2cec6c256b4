"""Looking at a core's models again: when something may have changed, and never for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from aios_tui.console.app import ConsoleApp
from aios_tui.console.jobs.core_refresh import GAP_S, LATE_S, NOW_AND_THEN_S, due
from aios_tui.console.state.reducer import fold, fold_all
from aios_tui.console.state.view_state import ViewState
from engine import events as e
from engine.cores.ollama.core import OllamaCore
from engine.cores.port import CoreInfo, ModelInfo, SlotState
from engine.events import CoreChanged
from engine.task import AttemptState, TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.settling import until
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.kernel.helpers import make_kernel

T0 = 1_000_000.0
LOADED = ModelInfo("m", loaded=True, size_loaded=10, size_vram=10, expires_at=T0 + 300)


def core(*models: ModelInfo, healthy: bool = True, kind: str = "ollama") -> CoreInfo:
    return CoreInfo("a", healthy, "m", models, kind=kind)


def view_of(info: CoreInfo, *events: e.Event, now: float) -> ViewState:
    view = fold_all(ViewState(), [e.SlotChanged(T0, "a/0", "a", SlotState.UP, ""), CoreChanged(T0, info), *events])
    view.now = now
    return view


def began(at: float) -> list[e.Event]:
    return [
        e.TaskAccepted(at, 1, TaskSpec(prompt="x")),
        e.TaskStarted(at, 1, 1, 1),
        e.AttemptStarted(at, 1, 1, 1, "a/0", "a", "m", at, "x"),
    ]


def piece(at: float) -> e.Event:
    return e.AttemptProgress(at, 1, 1, 1, "a/0", "text", "x", 1)


def over(at: float) -> e.Event:
    return e.AttemptEnded(at, 1, 1, 1, "a/0", AttemptState.DONE, "m")


def looks(info: CoreInfo, seconds: int, changed: dict[int, CoreInfo] | None = None) -> list[int]:
    """The seconds at which a console with nothing to do looks, when the server is as in `changed` from then on."""
    view, server, found = view_of(info, now=T0), info, []
    for second in range(seconds):
        server = (changed or {}).get(second, server)
        view.now = T0 + second
        if due(view):
            found.append(second)
            fold(view, CoreChanged(view.now, server))
    return found


def test_an_idle_server_is_left_alone() -> None:
    assert looks(core(replace(LOADED, expires_at=None)), 7_200) == []
    assert looks(core(ModelInfo("m")), 7_200) == []


def test_an_unload_is_looked_for_once_at_its_moment() -> None:
    assert looks(core(LOADED), 7_200, {300: core(ModelInfo("m"))}) == [301]


def test_a_server_whose_clock_is_another_is_not_asked_for_ever() -> None:
    found = looks(core(LOADED), 7_200)
    assert found[0] == 301
    assert len(found) <= 1 + LATE_S / NOW_AND_THEN_S
    assert found[-1] < 301 + LATE_S


@pytest.mark.parametrize(
    ("events", "now", "expected"),
    [
        ([], T0 + 60, False),
        (began(T0 + 10), T0 + 12, False),
        ([*began(T0 + 10), piece(T0 + 11)], T0 + 12, True),
        ([*began(T0 + 10), piece(T0 + 11), over(T0 + 12)], T0 + 13, True),
        ([*began(T0 + 1), piece(T0 + 2), over(T0 + 3)], T0 + GAP_S - 1, False),
        (began(T0 + 1), T0 + NOW_AND_THEN_S - 1, False),
        (began(T0 + 1), T0 + NOW_AND_THEN_S, True),
    ],
)
def test_what_makes_a_look_due(events: Sequence[e.Event], now: float, expected: bool) -> None:
    assert bool(due(view_of(core(LOADED), *events, now=now))) is expected
    assert due(view_of(core(ModelInfo("m", loaded=True), kind="embedded"), *events, now=now)) == []


def test_a_core_that_was_unwell_is_asked_ever_more_seldom_until_it_is_well() -> None:
    found = looks(core(healthy=False, kind="openai"), 120)
    gaps = [after - before for before, after in pairwise([0, *found])]
    assert gaps[:2] == [2, 2]
    assert gaps == sorted(gaps)
    assert set(gaps[5:]) == {15}
    assert looks(core(healthy=False), 120, {10: core()}) == [2, 4, 8, 16]


def test_one_whose_slots_are_down_asks_by_itself() -> None:
    down = e.SlotChanged(T0, "a/0", "a", SlotState.DOWN, "gone")
    assert due(view_of(core(healthy=False), down, now=T0 + 60)) == []
    assert due(view_of(core(healthy=False), now=T0 + 60)) == ["a"]


def test_a_model_that_was_not_in_memory_is_looked_for_as_soon_as_it_streams() -> None:
    events = [*began(T0 + 1), piece(T0 + 2)]
    assert due(view_of(core(ModelInfo("m")), *events, now=T0 + 2)) == ["a"]
    assert due(view_of(core(LOADED), *events, now=T0 + 2)) == []
    looked = CoreChanged(T0 + 1.5, core(ModelInfo("m")))
    assert due(view_of(core(), *events[:-1], looked, events[-1], now=T0 + 2)) == []
    assert due(view_of(core(), *events[:-1], looked, events[-1], now=T0 + 2.5)) == ["a"]


async def test_the_console_looks_at_that_core_and_once_at_a_time() -> None:
    now = T0 + 1
    runtime = FakeRuntime([CoreChanged(T0, core(LOADED)), CoreChanged(T0, replace(core(), name="b", kind=""))])
    app = ConsoleApp(runtime, now=lambda: now)
    async with app.run_test() as pilot:
        await until(lambda: "b" in app.view.cores, pilot)
        app._tick()
        await pilot.pause()
        assert ("inspect", "a") not in runtime.fake.calls
        now = T0 + 302
        app._tick()
        await until(lambda: ("inspect", "a") in runtime.fake.calls, pilot)
        assert {call for call in runtime.fake.calls if call[0] == "inspect"} == {("inspect", "a")}


async def test_the_countdown_of_a_real_server_begins_anew_after_each_answer() -> None:
    async with FakeOllama("m", loaded=["m"]) as fake:
        kernel = make_kernel(OllamaCore(fake.host))
        events = kernel.subscribe()
        await kernel.start()
        view = fold_all(ViewState(), kernel.snapshot())
        first = view.cores["ollama"].models[0].expires_at
        assert first is not None
        fake.models = [replace(model, expires_at="2031-01-01T00:00:00Z") for model in fake.models]
        await kernel.wait(await kernel.submit(TaskSpec(prompt="hi")))
        fold_all(view, events.drain())
        view.now = view.looked_at["ollama"] + GAP_S
        assert due(view) == ["ollama"]
        asked = len(fake.requests)
        await kernel.inspect("ollama")
        fold_all(view, events.drain())
        assert (view.cores["ollama"].models[0].expires_at or 0) > first
        assert [request.path for request in fake.requests[asked:]] == ["/api/version", "/api/tags", "/api/ps"]
        view.now = view.looked_at["ollama"] + 60
        assert due(view) == []
        await kernel.inspect("nobody")
        assert len(fake.requests) == asked + 3
        await kernel.stop()
