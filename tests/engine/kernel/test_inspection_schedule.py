"""Inspection schedule: a core is inspected again when something may have changed, and never without a reason."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from engine.cores.port import CoreInfo, ModelInfo
from engine.kernel.inspection_schedule import BUSY_S, GAP_S, LATE_S, MIN_GAP_S, CoreActivity, due_at

T0 = 1_000_000.0
LOADED = ModelInfo("m", loaded=True, size_loaded=10, size_vram=10, expires_at=T0 + 300)


def core(*models: ModelInfo, healthy: bool = True, kind: str = "ollama") -> CoreInfo:
    return CoreInfo("a", healthy, "m", models, kind=kind)


def activity_of(info: CoreInfo, at: float = T0) -> CoreActivity:
    activity = CoreActivity()
    activity.learn(info, began=at, ended=at)
    return activity


def inspections(info: CoreInfo, seconds: int, changed: dict[int, CoreInfo] | None = None) -> list[int]:
    """The seconds at which an idle core is inspected, if its state is as in `changed` from each of those on."""
    activity, state, found = activity_of(info), info, []
    for second in range(seconds):
        state = (changed or {}).get(second, state)
        moment = due_at(activity)
        if moment is not None and moment <= T0 + second:
            found.append(second)
            activity.requested_at = T0 + second
            activity.learn(state, began=T0 + second, ended=T0 + second)
    return found


def test_an_idle_server_is_left_alone() -> None:
    assert inspections(core(replace(LOADED, expires_at=None)), 7_200) == []
    assert inspections(core(ModelInfo("m")), 7_200) == []


def test_an_unload_is_looked_for_once_at_its_moment() -> None:
    assert inspections(core(LOADED), 7_200, {300: core(ModelInfo("m"))}) == [301]


def test_a_server_whose_clock_differs_is_not_inspected_for_ever() -> None:
    found = inspections(core(LOADED), 7_200)
    assert found[0] == 301
    assert len(found) <= 1 + LATE_S / BUSY_S
    assert found[-1] < 301 + LATE_S


@pytest.mark.parametrize(
    ("changed", "executing", "expected"),
    [
        (None, 0, T0 + 301),
        (None, 1, T0 + BUSY_S),
        (T0 + 11, 1, T0 + 11),
        (T0 + 12, 0, T0 + 12),
        (T0 + 3, 0, T0 + GAP_S),
    ],
)
def test_attempts_are_a_reason(changed: float | None, executing: int, expected: float) -> None:
    for info in (core(LOADED), core(LOADED, kind="")):
        activity = activity_of(info)
        activity.executing = executing
        activity.changed_at = changed or activity.changed_at
        assert due_at(activity) == expected


def test_a_core_that_reports_no_loaded_models_has_no_reason() -> None:
    for models in [(ModelInfo("m", loaded=True),), (ModelInfo("m"), ModelInfo("n")), ()]:
        activity = activity_of(core(*models, kind="openai"))
        activity.executing, activity.changed_at = 1, T0 + 5
        assert due_at(activity) is None
        assert not activity.is_stale(T0 + 60)


def test_an_unhealthy_core_is_inspected_less_and_less_often_until_it_is_healthy() -> None:
    found = inspections(core(healthy=False, kind="openai"), 120)
    gaps = [after - before for before, after in pairwise([0, *found])]
    assert gaps[:2] == [2, 2]
    assert gaps == sorted(gaps)
    assert set(gaps[5:]) == {15}
    assert inspections(core(healthy=False), 120, {10: core()}) == [2, 4, 8, 16]


def test_a_core_whose_slots_are_down_probes_its_server_itself() -> None:
    activity = activity_of(core(healthy=False))
    assert due_at(activity) == T0 + 2
    activity.all_down = True
    assert due_at(activity) is None


def test_an_urgent_reason_waits_for_the_gap_only() -> None:
    activity = CoreActivity(requested_at=T0)
    activity.learn(core(ModelInfo("m")), began=T0, ended=T0 + 0.1)
    activity.urgent_at = T0 + 0.5
    assert due_at(activity) == T0 + MIN_GAP_S
    activity.learn(core(LOADED), began=T0 + 0.6, ended=T0 + 0.7)
    assert due_at(activity) == T0 + 301


def test_a_change_during_an_inspection_leads_to_another_one() -> None:
    activity = CoreActivity()
    activity.urgent_at = T0 + 1
    activity.learn(core(ModelInfo("m")), began=T0, ended=T0 + 2)
    assert due_at(activity) == T0 + 1
