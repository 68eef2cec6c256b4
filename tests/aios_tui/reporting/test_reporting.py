"""Reports: what is written can be read again, says what it should, and nothing in it is anybody's Markdown."""

from __future__ import annotations

import json
import math
import re
import sys
import xml.etree.ElementTree as ElementTree
from array import array
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel, ValidationError

from aios_tui.reporting import figures
from aios_tui.reporting.folder import report_text, write_report
from aios_tui.reporting.markdown import markdown
from aios_tui.reporting.results import Results, gather
from aios_tui.reporting.schema import Report
from aios_tui.reporting.table import _line, lines, number, text_table
from aios_tui.reporting.terminal import plots
from engine.errors import UsageError
from engine.replay.simulate import simulate
from engine.replay.tables import Run, TaskColumns
from engine.scheduling import parse_policy


def runs(*policies: str, clients: tuple[str, ...] = ("", "ada", "bob")) -> list[tuple[Run, bool]]:
    tasks = TaskColumns(
        at=array("d", [0.0, 0.5, 1.0, 1.5]),
        priority=array("b", [9, 5, 1, 5]),
        service=array("d", [2.0, 2.0, 2.0, 2.0]),
        client=array("L", [1, 2, 1, 0]),
        clients=list(clients),
    )
    return [(simulate(tasks, parse_policy(policy)), True) for policy in policies]


def results(*policies: str) -> Results:
    return gather("w.jsonl", runs(*policies or ("fifo", "npps")), ["a note"])


def empty() -> Results:
    return gather("none", [(simulate(TaskColumns(array("d"), array("b"), array("d")), parse_policy("fifo")), True)])


def never_started() -> Results:
    (run, _), *_ = runs("fifo")
    for column in (run.start, run.end):
        for place in range(len(column)):
            column[place] = math.nan
    del run.order[:]
    return gather("cut", [(run, False)])


@pytest.mark.parametrize("given", [results(), results("npps"), empty(), never_started()])
def test_every_report_can_be_read_by_its_schema_and_drawn(given: Results) -> None:
    text = report_text(given)
    report = Report.model_validate_json(text)
    assert report.version == 1
    assert [run.n for run in report.runs] == [result.metrics.n for result in given.results]
    assert "NaN" not in text
    assert "Infinity" not in text
    assert text_table(given)
    assert bool(plots(given, width=60)) == (len(given.results[0].run.tasks) > 0)
    for name, caption, data in figures.draw_all(given):
        root = ElementTree.fromstring(data)
        assert root.tag.endswith("svg")
        assert caption in markdown(given, [(name, caption)])


def test_the_schema_refuses_what_it_does_not_know() -> None:
    report = json.loads(report_text(results()))
    for change in ({"version": 2}, {"colour": "red"}, {"runs": [{**report["runs"][0], "kind": "dream"}]}):
        with pytest.raises(ValidationError):
            Report.model_validate({**report, **change})


def test_the_docs_name_every_field() -> None:
    page = (Path(__file__).parents[3] / "docs" / "replay.md").read_text(encoding="utf-8")

    def fields(kind: Any) -> set[str]:
        """Names of the fields of a model or dataclass, and of those in it."""
        found: set[str] = set().union(*map(fields, get_args(kind)))
        if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
            for name, inner in get_type_hints(kind).items():
                if name != "model_config" and not name.startswith("_"):
                    found |= {name} | fields(inner)
        return found

    assert {"runs", "overall", "ttft", "p99", "over", "policy"} <= fields(Report)

    words = set(re.findall(r"[a-z0-9_]+", page.partition("## `report.json`")[2]))
    assert fields(Report) - words == set()


def test_the_better_value_is_marked_where_a_reader_sees_a_difference() -> None:
    rows = {line.label: line for line in lines(results())}
    assert rows["waiting mean s, priority 1"].best == {1}
    assert rows["waiting mean s, priority 5"].best == {0}
    assert rows["makespan s"].best == frozenset()
    assert rows["tasks"].best == frozenset()
    shown = {line[:27].strip(): line for line in text_table(results())}
    assert shown["waiting mean s, priority 1"].endswith("1*")
    assert all(line.best == frozenset() for line in lines(results("fifo")))


def test_beside_a_run_that_was_broken_off_none_is_better() -> None:
    (fifo, npps) = runs("fifo", "npps")
    found = gather("w.jsonl", [fifo, (npps[0], False)])
    assert {line.best for line in lines(found)} == {frozenset()}


def test_numbers_are_short_and_never_lie_about_nothing() -> None:
    assert [number(value) for value in (None, math.nan, 0.0, 3.0, 1234.4, 0.0123456, 12.3456, 1e-7, 1e9)] == [
        "-", "-", "0", "3", "1,234", "0.01235", "12.35", "1.0e-07", "1,000,000,000",
    ]  # fmt: skip


def test_a_row_has_its_numbers_in_one_form() -> None:
    def cells(*values: float | None) -> tuple[str, ...]:
        return _line("any", values, None).cells

    assert cells(1.0, 0.99996, None) == ("1.000", "1.0000", "-")
    assert cells(0.0, 12.3456, 1500.0) == ("0.000", "12.35", "1,500")
    assert cells(0.0, 12.0, None) == ("0", "12", "-")


def test_untrusted_names_stay_text() -> None:
    given = gather("[x](y)|<b>", runs("fifo", clients=("", "a|b", "<script>`\x1b[31m")), ["*note*"])
    page = markdown(given)
    assert "<script>" not in page
    assert "<b>" not in page
    assert "[x](y)" not in page
    assert "\x1b" not in page
    assert "*note*" not in page.replace("\\*", "")
    for line in page.splitlines():
        if "a\\|b" in line:
            assert len(re.findall(r"(?<!\\)\|", line)) == 9
    names = gather("w", [(Run_named("$x_1$", run), True) for run, _ in runs("fifo")])
    assert list(figures.draw_all(names))


def Run_named(policy: str, run: Run) -> Run:  # noqa: N802
    run.policy = policy
    return run


def test_runs_of_one_policy_have_names_of_their_own() -> None:
    assert [result.name for result in results("fifo", "fifo", "npps").results] == ["fifo", "fifo (2)", "npps"]


def test_without_matplotlib_the_report_has_no_figures_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "aios_tui.reporting.figures")
    monkeypatch.delattr("aios_tui.reporting.figures")
    missing = write_report(tmp_path, results())
    assert missing is not None
    assert "matplotlib" in missing
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.json", "tasks.csv"}
    assert "![" not in (tmp_path / "report.md").read_text()


def test_a_report_that_cannot_be_written_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").mkdir()
    with pytest.raises(UsageError, match=r"tasks\.csv"):
        write_report(tmp_path, results())


def test_a_report_is_written_over_an_earlier_one_and_cells_are_defused(tmp_path: Path) -> None:
    write_report(tmp_path, results("fifo"))
    write_report(tmp_path, gather("w", runs("npps", clients=("", "=1+1", "bob"))))
    rows = (tmp_path / "tasks.csv").read_text().splitlines()
    assert len(rows) == 5
    assert {row.split(",")[0] for row in rows[1:]} == {"npps"}
    assert ",'=1+1," in rows[1]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
