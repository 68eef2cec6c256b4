"""The fold that both exporters consume."""

from __future__ import annotations

import pytest

from engine import events as e
from engine.cores.port import FaultKind, SlotState, Usage
from engine.task import AttemptState, Task, TaskSpec, TaskState
from engine.telemetry.measurements import (
    AttemptBegan,
    AttemptFinished,
    EventsMissed,
    Measurement,
    Measurements,
    SlotCount,
    TaskCount,
)

SPEC = TaskSpec(prompt="x", priority=3)
STARTED = e.AttemptStarted(2, 1, 1, 1, "gpu/0", "gpu", "m", 1.5, "x")


def folded(*events: e.Event) -> list[Measurement]:
    measurements = Measurements()
    return [measured for event in events for measured in measurements.fold(event)]


def test_a_task_is_counted_in_one_place_at_a_time() -> None:
    found = folded(
        e.TaskAccepted(0, 1, SPEC),
        e.TaskStarted(1, 1, 1, None),
        e.TaskReprioritised(2, 1, 8, 3),
        e.TaskRequeued(3, 1, "stopped"),
        e.TaskEnded(4, 1, TaskState.CANCELLED, Task(1, SPEC, 0.0, 8)),
        e.TaskStarted(5, 9, 2, None),
    )
    counts = [each for each in found if isinstance(each, TaskCount)]
    moves = [(False, 3, 1), (False, 3, -1), (True, 3, 1), (True, 3, -1), (True, 8, 1), (True, 8, -1), (False, 8, 1)]
    assert [(each.running, each.priority, each.change) for each in counts] == [*moves, (False, 8, -1)]


def ended(state: AttemptState, fault: FaultKind | None = None, load_s: float = 0.0) -> e.AttemptEnded:
    usage = Usage(tokens_in=1, tokens_out=11, load_s=load_s)
    return e.AttemptEnded(5, 1, 1, 1, "gpu/0", state, "m", usage=usage, ttft_s=0.5, service_s=3.0, fault=fault)


@pytest.mark.parametrize(
    ("event", "error", "tpot_s", "load_s"),
    [
        (ended(AttemptState.DONE), None, 0.25, 0.0),
        (ended(AttemptState.DONE, load_s=0.05), None, 0.25, 0.0),
        (ended(AttemptState.FAILED, FaultKind.BUSY, 1.5), "busy", None, 1.5),
        (ended(AttemptState.FAILED), "failed", None, 0.0),
        (ended(AttemptState.CANCELLED, FaultKind.BUSY), "cancelled", None, 0.0),
    ],
)
def test_an_attempt_is_joined_with_its_start(
    event: e.AttemptEnded, error: str | None, tpot_s: float | None, load_s: float
) -> None:
    began, finished = folded(e.TaskAccepted(0, 1, SPEC), STARTED, event)[2:]
    assert began == AttemptBegan(STARTED, 0.5, 3, False)
    assert finished == AttemptFinished(event, STARTED, "gpu", error, tpot_s, load_s)


def test_an_end_without_its_start_takes_the_core_from_the_slot() -> None:
    event = ended(AttemptState.DONE)
    assert folded(event) == [AttemptFinished(event, None, "gpu", None, 0.25, 0.0)]


def test_slots_are_counted_by_state() -> None:
    totals: dict[SlotState, int] = {}
    states = (SlotState.UP, SlotState.SUSPECT, SlotState.DOWN)
    for each in folded(*(e.SlotChanged(0, "gpu/0", "gpu", state, "") for state in states)):
        assert isinstance(each, SlotCount)
        totals[each.state] = totals.get(each.state, 0) + each.change
    assert totals == {state: int(state is SlotState.DOWN) for state in SlotState}


def test_catching_up_counts_no_attempt_twice() -> None:
    measurements = Measurements()
    first = [*measurements.fold(e.TaskAccepted(0, 1, SPEC)), *measurements.fold(STARTED)]
    recovered = e.TaskRecovered(2, 1, SPEC, 4, 0.0, False)
    again = list(measurements.catch_up([recovered, e.TaskStarted(2, 1, 1, None), STARTED]))
    assert again[0] == EventsMissed(2)
    assert [each.resumed for each in (*first, *again) if isinstance(each, AttemptBegan)] == [False, True]
    assert sum(each.change for each in again if isinstance(each, TaskCount)) == 1
    (after,) = measurements.fold(ended(AttemptState.DONE))
    assert isinstance(after, AttemptFinished)
    assert after.started == STARTED
