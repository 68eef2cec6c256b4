"""Plain prompts: text with one a line, or JSONL of objects as TaskSpec has them, with `at` and `id` besides."""

from __future__ import annotations

from collections.abc import Iterator

from engine.workloads.importers.lines import Lines
from engine.workloads.importers.traces import Row, json_object


def text(lines: Lines) -> Iterator[Row]:
    """One prompt a line; blank lines are passed over."""
    for line in lines:
        if line.strip():
            yield {"prompt": line.strip()}


def jsonl(lines: Lines) -> Iterator[Row]:
    """One object a line. `ref` is taken as the id; `workload` says where it once came from, and is dropped."""
    for line in lines:
        if not line.strip():
            continue
        row = json_object(line, lines)
        row.pop("workload", None)
        ref = row.pop("ref", None)
        if ref is not None:
            row.setdefault("id", ref)
        yield row
