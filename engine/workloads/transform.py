"""Cut, scale and merge workloads as streams, one item at a time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence

from engine.errors import UsageError
from engine.workloads.format import ControlRow, Defaults, Item, TaskRow, WorkloadHeader
from engine.workloads.reader import WorkloadReader, in_order


def cut(
    items: Iterable[Item], *, start: float = 0.0, end: float = math.inf, limit: int | None = None
) -> Iterator[Item]:
    """Return the items from `start` to before `end` seconds, at most `limit` tasks; `start` becomes 0.

    The policy and pause in force at `start` are kept as controls at 0. Controls of tasks that are cut away stay,
    without effect. Items must be in order of time.
    """
    if not 0 <= start <= end or (limit is not None and limit < 0):
        raise UsageError("a cut needs a start of 0 or more and an end not before it")
    return _cut(items, start, end, limit)


def _cut(items: Iterable[Item], start: float, end: float, limit: int | None) -> Iterator[Item]:
    before: dict[str, ControlRow] = {}  # what is in force at `start`: a policy, a pause
    kept = 0
    for item in items:
        if item.at < start:
            if isinstance(item, ControlRow) and item.task is None:
                before["policy" if item.op == "policy" else "pause"] = item
            continue
        if item.at >= end or (limit is not None and kept >= limit):
            break
        yield from (control.model_copy(update={"at": 0.0}) for control in before.values() if control.op != "resume")
        before.clear()
        kept += isinstance(item, TaskRow)
        yield item.model_copy(update={"at": item.at - start})


def scale(items: Iterable[Item], speed: float) -> Iterator[Item]:
    """Return the same items arriving `speed` times as fast. Work stays the same, so the load grows by `speed`."""
    if not 0 < speed < math.inf:
        raise UsageError("the speed must be a number above 0")
    return (item.model_copy(update={"at": item.at / speed}) for item in items)


def resolved(row: TaskRow, defaults: Defaults) -> TaskRow:
    """Return the row with its header's defaults filled in, so that it means the same in another file."""
    values = defaults.model_dump(exclude_none=True, exclude={"options"})
    missing = {key: value for key, value in values.items() if getattr(row, key) is None}
    if defaults.options is not None:
        missing["options"] = row.options.over(defaults.options) if row.options else defaults.options
    return row.model_copy(update=missing) if missing else row


def merge(readers: Sequence[WorkloadReader]) -> tuple[WorkloadHeader, Iterator[Item]]:
    """Merge open workloads by time; at equal times, items of the earlier file come first.

    Ids become `1:t1`, `2:t1`, … by file, and each row keeps its own header's defaults. Items must be in order of time
    in each file; the stream raises UsageError that names the line where they are not.
    """
    header = WorkloadHeader().noting(what="merged: " + ", ".join(reader.path.name for reader in readers))
    for number, reader in enumerate(readers, start=1):
        header = header.noting(**{f"{number}:{key}": value for key, value in reader.header.origin.items()})
    streams = [_renamed(reader, number) for number, reader in enumerate(readers, start=1)]
    return header, heapq.merge(*streams, key=lambda item: item.at)


def _renamed(reader: WorkloadReader, number: int) -> Iterator[Item]:
    for item in in_order(reader):
        if isinstance(item, TaskRow):
            yield resolved(item, reader.header.defaults).model_copy(update={"id": f"{number}:{item.id}"})
        elif item.task is not None:
            yield item.model_copy(update={"task": f"{number}:{item.task}"})
        else:
            yield item
