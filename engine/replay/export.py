"""Runs as data: `tasks.csv`, `report.json`, and the table that compares several runs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from engine.replay.metrics import Group, Metrics
from engine.replay.tables import Run

TASK_COLUMNS = ("policy", "id", "priority", "client", "arrival_s", "start_s", "end_s", "waiting_s", "turnaround_s")


def task_rows(run: Run) -> Iterator[tuple[str, ...]]:
    """Yield a row for each task in order of arrival, with TASK_COLUMNS; seconds in full precision, empty if unknown."""
    tasks = run.tasks
    for index in range(len(tasks)):
        arrival, start, end = tasks.at[index], run.start[index], run.end[index]
        seconds = (arrival, start, end, start - arrival, end - arrival)
        yield (
            run.policy,
            tasks.id(index),
            str(tasks.priority[index]),
            tasks.client_name(index),
            *("" if math.isnan(value) else repr(value) for value in seconds),
        )


def tasks_csv(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the lines of `tasks.csv` with their ends, header first. Cells that a spreadsheet would run are quoted."""
    yield _line(TASK_COLUMNS)
    for run in runs:
        for row in task_rows(run):
            yield _line([_quoted(cell) if column in (1, 3) else cell for column, cell in enumerate(row)])


def as_json(metrics: Metrics, run: Run) -> dict[str, Any]:
    """One run for `report.json`: the attributes of Metrics by name, null if not measured.

    `by_priority` and `by_client` are objects by priority and client name; `note` and `switches` are the run's.
    """
    return {
        **asdict(metrics),
        "by_priority": {str(key): asdict(group) for key, group in metrics.by_priority.items()},
        "note": run.note,
        "switches": [{"at": at, "policy": policy} for at, policy in run.switches],
    }


def compared(metrics: Sequence[Metrics]) -> list[tuple[str, list[float | None], int | None]]:
    """The comparison as a table: (label, a value for each run, the index of the best), times in seconds.

    The best is None if there is no better or worse, if all are equal, or if any value is not known.
    """
    rows: list[tuple[str, list[float | None], int | None]] = [
        _compared("tasks", [m.n for m in metrics], None),
        _compared("done", [m.done for m in metrics], max),
        _compared("failed", [m.failed for m in metrics], min),
        _compared("makespan s", [m.makespan for m in metrics], min),
        _compared("throughput /s", [m.throughput for m in metrics], max),
        _compared("utilisation", [m.utilisation for m in metrics], max),
        _compared("oldest wait s", [m.oldest_wait for m in metrics], min),
        _compared("inversions", [m.inversions for m in metrics], min),
        _compared("swaps", [m.swaps for m in metrics], min),
        _compared("Jain index", [m.jain.value if m.jain else None for m in metrics], max),
    ]
    for label, unit in (("waiting", " s"), ("turnaround", " s"), ("slowdown", ""), ("TTFT", " s")):
        for statistic in ("mean", "p50", "p95", "p99", "max"):
            values = [_statistic(m.overall, label.lower(), statistic) for m in metrics]
            rows.append(_compared(f"{label} {statistic}{unit}", values, min))
    for priority in sorted({key for m in metrics for key in m.by_priority}):
        values = [_statistic(m.by_priority.get(priority), "waiting", "mean") for m in metrics]
        rows.append(_compared(f"waiting mean s, priority {priority}", values, min))
    for client in sorted({key for m in metrics for key in m.by_client if key}):
        values = [_statistic(m.by_client.get(client), "waiting", "mean") for m in metrics]
        rows.append(_compared(f"waiting mean s, client {client}", values, min))
    return rows


def _compared(label: str, values: Sequence[float | None], better: Any) -> tuple[str, list[float | None], int | None]:
    known = [value for value in values if value is not None]
    best = None
    if better is not None and len(known) == len(values) > 1 and min(known) != max(known):
        best = known.index(better(known))
    return label, list(values), best


def _statistic(group: Group | None, attribute: str, statistic: str) -> float | None:
    distribution = getattr(group, attribute) if group is not None else None
    return None if distribution is None else float(getattr(distribution, statistic))


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _quoted(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t")) else cell
