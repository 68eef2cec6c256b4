"""The examples in the docs work."""

from __future__ import annotations

import re
from pathlib import Path

from engine.workloads.format import ControlRow, TaskRow
from engine.workloads.reader import WorkloadReader

PAGE = Path(__file__).parents[3] / "docs" / "workloads.md"


def test_the_workload_in_the_docs_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "w.jsonl"
    path.write_text("".join(line for line in text.splitlines(keepends=True) if '"end"' not in line), encoding="utf-8")
    with WorkloadReader(path) as reader:
        assert [type(item) for item in reader] == [TaskRow, TaskRow, ControlRow, ControlRow, ControlRow]


def test_the_docs_name_every_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for record in (TaskRow, ControlRow):
        assert [name for name in record.model_fields if f"`{name}`" not in page and name != "kind"] == []
