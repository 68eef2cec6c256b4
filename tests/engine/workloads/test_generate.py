"""Workloads made up, shaped and summed up, and the packaged samples."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from statistics import fmean, pstdev

import pytest

from engine.errors import UsageError
from engine.task import GenerationOptions
from engine.workloads import samples
from engine.workloads.format import ControlRow, Defaults, Item, TaskRow, WorkloadHeader
from engine.workloads.generate import Draw, TaskClass, generate
from engine.workloads.reader import WorkloadReader, load
from engine.workloads.summary import summarise
from engine.workloads.transform import cut, merge, scale
from engine.workloads.writer import save


@pytest.mark.parametrize("burstiness", [0.0, 0.5, 1.0, 3.0])
def test_arrivals_have_the_rate_and_the_burstiness_asked_for(burstiness: float) -> None:
    rows = list(generate(40_000, 2.0, seed=1, burstiness=burstiness)[1])
    gaps = [later.at - earlier.at for earlier, later in pairwise(rows)]
    assert fmean(gaps) == pytest.approx(0.5, rel=0.05)
    assert pstdev(gaps) / fmean(gaps) == pytest.approx(burstiness, rel=0.05, abs=1e-6)


def test_classes_come_by_their_shares_with_their_own_work() -> None:
    classes = (
        TaskClass(share=1, priority=0, client="ada", service=Draw("exp:2")),
        TaskClass(share=3, priority=9, agent="story_teller", model="m", service=Draw("const:0.5")),
    )
    header, stream = generate(20_000, 1.0, seed=2, classes=classes)
    rows = list(stream)
    urgent = [row for row in rows if row.priority == 0]
    assert len(urgent) / len(rows) == pytest.approx(0.25, abs=0.01)
    assert fmean(row.service or 0 for row in urgent) == pytest.approx(2, rel=0.05)
    assert {(row.service, row.agent, row.model) for row in rows if row.priority == 9} == {(0.5, "story_teller", "m")}
    assert "share 3: priority 9" in str(header.origin["assigned"])
    assert rows == list(generate(20_000, 1.0, seed=2, classes=classes)[1])
    assert [r.at for r in rows] == [r.at for r in generate(20_000, 1.0, seed=2)[1]], "other classes, same arrivals"
    assert rows[0].at != next(generate(1, 1.0, seed=3)[1]).at


@pytest.mark.parametrize(
    ("text", "mean", "cv"),
    [("const:3", 3, 0), ("exp:2", 2, 1), ("uniform:0,2", 1, 3**-0.5), ("gamma:4,2", 4, 2), ("lognormal:5,1", 5, 1)],
)
def test_distributions_have_the_mean_and_variation_they_say(text: str, mean: float, cv: float) -> None:
    draw = Draw(text).sampler(random.Random(1))
    values = [draw() for _ in range(60_000)]
    assert fmean(values) == pytest.approx(mean, rel=0.03)
    assert pstdev(values) / fmean(values) == pytest.approx(cv, rel=0.06, abs=1e-9)
    assert min(values) >= 0


@pytest.mark.parametrize("text", ["", "exp", "exp:x", "exp:1,2", "normal:1,1", "exp:-1", "exp:inf", "exp:nan"])
def test_what_is_no_distribution_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a distribution"):
        Draw(text)


def test_numbers_out_of_range_are_refused() -> None:
    for count, rate, burstiness in ((-1, 1.0, 1.0), (1, 0.0, 1.0), (1, float("nan"), 1.0), (1, 1.0, -1.0)):
        with pytest.raises(UsageError):
            generate(count, rate, burstiness=burstiness)
    with pytest.raises(UsageError):
        generate(1, 1.0, classes=())


ITEMS: list[Item] = [
    TaskRow(id="a", at=0.0, prompt="x"),
    ControlRow(at=1.0, policy="npps"),
    TaskRow(id="b", at=2.0, prompt="x"),
    TaskRow(id="c", at=3.0, prompt="x"),
    ControlRow(at=3.5, policy="fifo"),
    TaskRow(id="d", at=4.0, prompt="x"),
]


def _short(items: list[Item]) -> list[tuple[str, float]]:
    return [(item.id or "" if isinstance(item, TaskRow) else item.policy or item.op, item.at) for item in items]


def test_cut_counts_from_its_start_and_keeps_the_policy_in_force() -> None:
    assert _short(list(cut(ITEMS, start=2.0, end=4.0))) == [("npps", 0.0), ("b", 0.0), ("c", 1.0), ("fifo", 1.5)]
    assert _short(list(cut(ITEMS, limit=2))) == [("a", 0.0), ("npps", 1.0), ("b", 2.0)]
    assert list(cut(ITEMS)) == ITEMS
    with pytest.raises(UsageError):
        cut(ITEMS, start=2, end=1)


def test_scale_brings_everything_nearer() -> None:
    assert [item.at for item in scale(ITEMS, 2.0)] == [0.0, 0.5, 1.0, 1.5, 1.75, 2.0]
    for speed in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UsageError):
            scale(ITEMS, speed)


def test_merge_goes_by_time_and_keeps_each_files_defaults(tmp_path: Path) -> None:
    one, two, merged = tmp_path / "one.jsonl", tmp_path / "two.jsonl", tmp_path / "merged.jsonl"
    save(one, WorkloadHeader(defaults=Defaults(priority=1, options=GenerationOptions(seed=4))), ITEMS)
    save(two, WorkloadHeader().noting(what="two"), [TaskRow(id="a", at=2.0, prompt="y", priority=7)])
    with WorkloadReader(one) as first, WorkloadReader(two) as second:
        save(merged, *merge([first, second]))
    workload = load(merged)
    assert [row.id for row in workload.tasks] == ["1:a", "1:b", "2:a", "1:c", "1:d"]
    assert [row.priority for row in workload.tasks] == [1, 1, 7, 1, 1]
    assert [row.options and row.options.seed for row in workload.tasks] == [4, 4, None, 4, 4]
    assert workload.header.origin["2:what"] == "two"
    save(two, WorkloadHeader(), reversed(ITEMS))
    with (
        WorkloadReader(one) as first,
        WorkloadReader(two) as second,
        pytest.raises(UsageError, match=r"two\.jsonl, line 3"),
    ):
        save(merged, *merge([first, second]))


def test_a_summary_counts_everything_once(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    rows: list[Item] = [
        *ITEMS,
        TaskRow(
            id="e", at=8.0, input_tokens=10, output_tokens=4, client="ada", model="m", priority=0, agent="translate"
        ),
    ]
    save(path, WorkloadHeader(defaults=Defaults(priority=2)), rows)
    with WorkloadReader(path) as reader:
        summary = summarise(reader)
    assert (summary.tasks, summary.duration, summary.rate, summary.complete) == (5, 8.0, 0.5, True)
    assert (summary.with_prompt, summary.counted, summary.input_tokens, summary.output_tokens) == (4, 1, 10, 4)
    assert (summary.priorities, summary.agents) == ({2: 4, 0: 1}, {"chat": 4, "translate": 1})
    assert (summary.clients, summary.models) == ({"": 4, "ada": 1}, {"": 4, "m": 1})
    assert summary.switches == [(1.0, "npps"), (3.5, "fifo")]
    assert summary.arrivals(4) == [1, 2, 1, 1]
    assert summary.gap_cv == pytest.approx(pstdev([2, 1, 1, 4]) / 2)


def test_a_summary_of_nothing_and_of_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    save(path, WorkloadHeader(), [])
    with WorkloadReader(path) as reader:
        summary = summarise(reader)
    assert (summary.tasks, summary.duration, summary.rate, summary.gap_cv, summary.arrivals(3)) == (
        0,
        0,
        None,
        None,
        [0] * 3,
    )
    save(path, WorkloadHeader(), [TaskRow(id=str(i), at=5.0, prompt="x") for i in range(3)])
    with WorkloadReader(path) as reader:
        summary = summarise(reader)
    assert (summary.duration, summary.rate, summary.gap_cv, summary.arrivals(3)) == (0, None, None, [3, 0, 0])


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.name)
def test_every_sample_is_whole_and_says_where_it_is_from(sample: samples.Sample, tmp_path: Path) -> None:
    with samples.path_of(sample) as path, WorkloadReader(path) as reader:
        summary = summarise(reader)
    assert summary.complete
    assert summary.in_order
    assert summary.header.origin["what"]
    samples.copy(sample, tmp_path / "mine.jsonl")
    assert len(load(tmp_path / "mine.jsonl").tasks) == summary.tasks
    if sample.licence is not None:
        assert summary.tasks == int(sample.name.rpartition("-")[2])
        assert sample.licence in str(summary.header.origin["licence"])
        assert "Licen" in (tmp_path / sample.licence).read_text()


def test_the_five_tasks_of_aios() -> None:
    with samples.path_of(samples.get("aios-five")) as path:
        rows = load(path).tasks
    assert [(row.agent, row.prompt) for row in rows] == [
        ("tech_support_agent", "For what reason is my memory not working?"),
        ("tech_support_agent", "For what reason is my graphics card not working?"),
        ("tech_support_agent", "For what reason is my monitor not working?"),
        ("story_teller", "Tell me a story."),
        ("story_teller", "Tell me a funny story."),
    ]
    assert len({row.priority for row in rows}) == 5
    with pytest.raises(UsageError, match="the samples are aios-five"):
        samples.get("nothing")
