"""From workloads to columns: service times to the last digit, calibration, and samples through the simulator."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agents.catalogue import load_catalogue
from engine.replay.inputs import build_input
from engine.replay.metrics import measure
from engine.replay.service_model import Rates, ServiceModel, Timing, calibrate
from engine.replay.simulate import Capacity, simulate
from engine.scheduling import parse_policy
from engine.task import GenerationOptions
from engine.workloads import samples
from engine.workloads.format import ControlRow, Defaults, Item, TaskRow
from engine.workloads.reader import WorkloadReader, load

counts = st.integers(0, 10**6)
rates = st.floats(0.01, 1e6)


@given(counts, counts, rates, rates)
def test_a_service_time_is_exactly_tokens_over_rates(read: int, written: int, prefill: float, decode: float) -> None:
    row = TaskRow(input_tokens=read, output_tokens=written, service=3.0)
    made = build_input([row], service=ServiceModel(Rates(prefill, decode), use_given=False))
    assert list(made.tasks.service) == [read / prefill + written / decode]
    assert list(made.tasks.prefill) == [read / prefill]
    run = simulate(made.tasks, parse_policy("fifo"))
    assert run.end[0] == read / prefill + written / decode
    assert (made.estimated, made.given) == (0, 0)


def test_given_service_times_count_unless_rates_are_asked_for() -> None:
    row = TaskRow(input_tokens=100, output_tokens=10, service=3.0)
    made = build_input([row])
    assert (list(made.tasks.service), made.given) == ([3.0], 1)
    assert math.isnan(made.tasks.prefill[0])


def test_what_is_not_counted_is_estimated_and_told() -> None:
    made = build_input(
        [
            TaskRow(prompt="x" * 41),
            TaskRow(prompt="x", options=GenerationOptions(max_tokens=7)),
            TaskRow(input_tokens=3),
            TaskRow(input_tokens=3, output_tokens=4),
        ],
        service=ServiceModel(reply_tokens=100),
    )
    assert list(made.input_tokens) == [11, 1, 3, 3]
    assert list(made.output_tokens) == [100, 7, 100, 4]
    assert made.estimated == 3


def test_models_have_their_own_rates() -> None:
    model = ServiceModel(Rates(10, 10), {"slow": Rates(1, 1)})
    items = [TaskRow(input_tokens=5, output_tokens=5, model=name) for name in (None, "slow", "other")]
    made = build_input(items, Defaults(), model)
    assert list(made.tasks.service) == [1.0, 10.0, 1.0]
    assert [made.tasks.models[index] for index in made.tasks.model] == ["", "slow", "other"]


def test_items_in_any_order_are_sorted_with_ties_kept() -> None:
    items: list[Item] = [
        TaskRow(id="a", at=2.0, prompt="x", priority=1, client="ada"),
        ControlRow(at=9.0, policy="fifo"),
        TaskRow(id="b", at=1.0, prompt="x", priority=2),
        TaskRow(id="c", at=2.0, prompt="x", client="bob"),
        ControlRow(at=3.0, policy="npps"),
    ]
    made = build_input(items, Defaults(priority=8, client="cyd"))
    tasks = made.tasks
    assert list(tasks.ids) == ["b", "a", "c"]
    assert list(tasks.priority) == [2, 1, 8]
    assert [tasks.client_name(index) for index in range(3)] == ["cyd", "ada", "bob"]
    assert [(at, policy.name) for at, policy in made.switches] == [(3.0, "npps"), (9.0, "fifo")]


def test_rounds_come_from_the_agents() -> None:
    catalogue, _ = load_catalogue(None)
    with samples.path_of(samples.get("aios-five")) as path:
        workload = load(path)
    made = build_input(workload.items, workload.header.defaults, rounds_of=lambda name: catalogue.get(name).round_total)
    assert list(made.tasks.rounds) == [3] * 5
    order = {
        policy: [made.tasks.id(index) for index in simulate(made.tasks, parse_policy(policy)).order]
        for policy in ("fifo", "npps")
    }
    assert order == {"fifo": ["t1", "t2", "t3", "t4", "t5"], "npps": ["t5", "t3", "t2", "t1", "t4"]}


def test_a_more_urgent_task_goes_between_two_rounds() -> None:
    items = [
        TaskRow(id="story", at=0.0, input_tokens=0, output_tokens=3, priority=5),
        TaskRow(id="same", at=0.5, input_tokens=0, output_tokens=1, priority=5),
        TaskRow(id="urgent", at=1.5, input_tokens=0, output_tokens=1, priority=0),
    ]
    model = ServiceModel(Rates(1, 1))
    tasks = build_input(items, service=model, rounds_of=lambda name: 3).tasks
    tasks.rounds[1] = tasks.rounds[2] = 1
    run = simulate(tasks, parse_policy("npps"))
    assert list(run.start) == [0.0, 4.0, 2.0]
    assert list(run.end) == [4.0, 5.0, 3.0]


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.name)
def test_priorities_help_the_urgent_on_every_sample(sample: samples.Sample) -> None:
    with samples.path_of(sample) as path, WorkloadReader(path) as reader:
        made = build_input(reader, reader.header.defaults)
    found = {policy: measure(simulate(made.tasks, parse_policy(policy), Capacity(2))) for policy in ("fifo", "npps")}
    most = min(found["npps"].by_priority)
    waits = {policy: group.waiting.mean for policy in found if (group := found[policy].by_priority[most]).waiting}
    assert waits["npps"] < waits["fifo"]
    assert (found["npps"].inversions, found["fifo"].inversions > 0) == (0, True)
    assert found["npps"].n == found["fifo"].n == found["npps"].done


def test_calibration_is_tokens_over_seconds() -> None:
    seen: list[Timing] = [
        ("a", 100, 10, 1.0, 2.0),
        ("a", 300, 50, 1.0, 1.0),
        ("b", 10, 10, 1.0, 1.0),
        ("b", 0, 10, 0.0, 1.0),
        ("c", 10, 0, 1.0, 0.0),
    ]
    overall, per_model = calibrate(seen)
    assert (overall.prefill, overall.decode) == (420 / 4, 80 / 5)
    assert per_model == {"a": Rates(200.0, 20.0), "b": Rates(10.0, 10.0)}
    with pytest.raises(ValueError, match="no finished attempt"):
        calibrate([("c", 10, 0, 1.0, 0.0)])


def test_rates_are_positive_numbers() -> None:
    for prefill, decode in ((0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf)):
        with pytest.raises(ValueError, match="more than 0"):
            Rates(prefill, decode)
