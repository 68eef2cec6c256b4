"""Reports as data: every number can be found again, in the form that is promised."""

from __future__ import annotations

import csv
import io
import json
import math
from array import array

from engine.replay.export import TASK_COLUMNS, as_json, compared, tasks_csv
from engine.replay.metrics import measure
from engine.replay.simulate import simulate
from engine.replay.tables import Run, TaskColumns
from engine.scheduling import parse_policy


def _tasks() -> TaskColumns:
    tasks = TaskColumns(array("d", [0.0, 1.0, 1.0]), array("b", [5, 9, 0]), array("d", [0.1 + 0.2, 2.0, 1.0]))
    tasks.ids, tasks.clients, tasks.client = ["a", "b,\n1", "=c"], ["", "@ada"], array("L", [0, 1, 1])
    return tasks


def _runs() -> list[Run]:
    return [simulate(_tasks(), parse_policy(policy)) for policy in ("fifo", "npps")]


def test_tasks_csv_has_a_row_a_task_and_policy_in_full_precision() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(tasks_csv(_runs())))))
    assert list(rows[0]) == list(TASK_COLUMNS)
    assert [(row["policy"], row["id"]) for row in rows] == [
        (policy, name) for policy in ("fifo", "npps") for name in ("a", "b,\n1", "'=c")
    ]
    assert [row["client"] for row in rows[:3]] == ["", "'@ada", "'@ada"]
    assert float(rows[0]["end_s"]) == 0.1 + 0.2
    for row in rows:
        assert float(row["waiting_s"]) == float(row["start_s"]) - float(row["arrival_s"])
        assert float(row["turnaround_s"]) == float(row["end_s"]) - float(row["arrival_s"])
    assert float(rows[2]["waiting_s"]) == 2.0
    assert float(rows[5]["waiting_s"]) == 0.0


def test_what_did_not_happen_is_an_empty_cell() -> None:
    run = Run(
        "fifo",
        "live",
        1,
        _tasks(),
        array("d", [0.0, math.nan, math.nan]),
        array("d", [math.nan] * 3),
        array("d", [math.nan] * 3),
        array("L", [0]),
    )
    rows = list(csv.DictReader(io.StringIO("".join(tasks_csv([run])))))
    assert [(row["start_s"], row["end_s"], row["waiting_s"], row["turnaround_s"]) for row in rows] == [
        ("0.0", "", "0.0", ""),
        ("", "", "", ""),
        ("", "", "", ""),
    ]


def test_a_run_is_strict_json_with_everything_in_it() -> None:
    said = [json.loads(json.dumps(as_json(measure(run), run), allow_nan=False)) for run in _runs()]
    assert [run["policy"] for run in said] == ["fifo", "npps"]
    fifo = said[0]
    assert (fifo["n"], fifo["done"], fifo["inversions"], fifo["slots"]) == (3, 3, 1, 1)
    assert fifo["overall"]["waiting"]["max"] == 2.0
    assert set(fifo["by_priority"]) == {"0", "5", "9"}
    assert fifo["by_client"]["@ada"]["n"] == 2
    assert fifo["overall"]["ttft"] is None
    assert fifo["jain"]["over"] == "the tasks' slowdowns"


def test_the_better_value_is_marked_only_where_there_is_one() -> None:
    table: dict[str, tuple[object, object]] = {
        label: (values, best) for label, values, best in compared([measure(run) for run in _runs()])
    }
    assert table["tasks"] == ([3, 3], None)
    assert table["inversions"] == ([1, 0], 1)
    assert table["swaps"] == ([0, 0], None)
    assert table["TTFT mean s"] == ([None, None], None)
    assert table["waiting mean s, priority 0"] == ([2.0, 0.0], 1)
    assert table["waiting mean s, priority 9"] == ([0.0, 1.0], 0)
    assert table["waiting mean s"][1] == 1
    assert "waiting mean s, client @ada" in table
    assert compared([measure(_runs()[0])])[3][2] is None, "one run alone is not better than anything"
