"""Import plain prompts: text with one a line, or JSONL with the fields of TaskSpec, `at` and `id`."""

from __future__ import annotations

from collections.abc import Iterator

from engine.workloads.importers.lines import Lines
from engine.workloads.importers.traces import Row, json_object


def text(lines: Lines) -> Iterator[Row]:
    """Read one prompt a line; blank lines are skipped."""
    for line in lines:
        if line.strip():
            yield {"prompt": line.strip()}


def jsonl(lines: Lines) -> Iterator[Row]:
    """Read one object a line. `ref` becomes the id; `workload`, its former origin, is dropped."""
    for line in lines:
        if not line.strip():
            continue
        row = json_object(line, lines)
        row.pop("workload", None)
        ref = row.pop("ref", None)
        if ref is not None:
            row.setdefault("id", ref)
        yield row
