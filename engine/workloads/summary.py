"""Summarise a workload in one pass."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean, pstdev

from engine.task import DEFAULT_PRIORITY
from engine.workloads.format import TaskRow, WorkloadHeader
from engine.workloads.reader import WorkloadReader


@dataclass(slots=True)
class Summary:
    """Summary of a workload. Times in seconds.

    Attributes:
        complete: the file has a valid end record.
        in_order: items are in order of time, which `cut` and `merge` require.
        at: every task's arrival, sorted.
        with_prompt: tasks with text. input_tokens, output_tokens: sums over the `counted` tasks that have both.
        switches: (at, policy) of the policy switches in the file. controls: its other controls, by op.
        gap_cv: coefficient of variation of the gaps between arrivals: 1 for Poisson, more for bursts.
    """

    header: WorkloadHeader
    complete: bool = False
    in_order: bool = True
    at: array[float] = field(default_factory=lambda: array("d"))
    with_prompt: int = 0
    counted: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    priorities: Counter[int] = field(default_factory=Counter)
    agents: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    switches: list[tuple[float, str]] = field(default_factory=list)
    controls: Counter[str] = field(default_factory=Counter)

    @property
    def tasks(self) -> int:
        return len(self.at)

    @property
    def duration(self) -> float:
        """Seconds from the first arrival to the last."""
        return self.at[-1] - self.at[0] if self.at else 0.0

    @property
    def rate(self) -> float | None:
        """Arrivals a second over the duration; None when that is 0."""
        return (self.tasks - 1) / self.duration if self.duration > 0 else None

    @property
    def gap_cv(self) -> float | None:
        gaps = [later - earlier for earlier, later in zip(self.at, self.at[1:], strict=False)]
        mean = fmean(gaps) if len(gaps) > 1 else 0.0
        return pstdev(gaps, mean) / mean if mean > 0 else None

    def arrivals(self, bins: int) -> list[int]:
        """Count arrivals in each of `bins` equal parts of the duration; the last includes its end."""
        counts = [0] * bins
        width = self.duration / bins
        for at in self.at:
            index = math.floor((at - self.at[0]) / width) if width > 0 else 0
            counts[min(index, bins - 1)] += 1
        return counts


def summarise(reader: WorkloadReader) -> Summary:
    """Read an open workload to its end and summarise it; keeps 8 bytes a task.

    Raises:
        UsageError: any line is invalid.
    """
    summary, defaults, last = Summary(reader.header), reader.header.defaults, 0.0
    for item in reader:
        summary.in_order &= item.at >= last
        last = item.at
        if not isinstance(item, TaskRow):
            if item.policy is not None:
                summary.switches.append((item.at, item.policy))
            else:
                summary.controls[item.op] += 1
            continue
        summary.at.append(item.at)
        summary.with_prompt += bool((item.prompt or "").strip())
        if item.input_tokens is not None and item.output_tokens is not None:
            summary.counted += 1
            summary.input_tokens += item.input_tokens
            summary.output_tokens += item.output_tokens
        priority = item.priority if item.priority is not None else defaults.priority
        summary.priorities[DEFAULT_PRIORITY if priority is None else priority] += 1
        summary.agents[item.agent or defaults.agent or "chat"] += 1
        summary.clients[item.client or defaults.client or ""] += 1
        summary.models[item.model or defaults.model or ""] += 1
    summary.complete = reader.complete
    if not summary.in_order:
        summary.at = array("d", sorted(summary.at))
    return summary
