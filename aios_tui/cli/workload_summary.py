"""The output of `aios-tui workload show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from aios_tui.cli.output import duration
from engine.sanitise import one_line
from engine.workloads.summary import Summary

_BINS = 60
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ROWS = 5


def summary_record(name: str, summary: Summary) -> dict[str, Any]:
    """Return the summary as it is printed in JSON."""
    return {
        "workload": name,
        "tasks": summary.tasks,
        "duration_s": summary.duration,
        "rate": summary.rate,
        "gap_cv": summary.gap_cv,
        "complete": summary.complete,
        "in_order": summary.in_order,
        "with_prompt": summary.with_prompt,
        "counted": summary.counted,
        "input_tokens": summary.input_tokens,
        "output_tokens": summary.output_tokens,
        "priorities": {str(key): summary.priorities[key] for key in sorted(summary.priorities)},
        "agents": dict(summary.agents.most_common()),
        "clients": dict(summary.clients.most_common()),
        "models": dict(summary.models.most_common()),
        "switches": [{"at": at, "policy": policy} for at, policy in summary.switches],
        "controls": dict(summary.controls),
        "seed": summary.header.seed,
        "origin": summary.header.origin,
    }


def summary_lines(name: str, summary: Summary) -> Iterator[str]:
    """Format the summary for people."""
    yield f"{one_line(name, 100)}: {summary.tasks:,} tasks over {duration(summary.duration)}"
    for key, note in summary.header.origin.items():
        yield f"  {one_line(key, 40)}: {one_line(str(note), 300)}"
    if summary.rate is not None:
        cv = f", gaps vary by {summary.gap_cv:.2f} (1 is Poisson)" if summary.gap_cv is not None else ""
        yield f"arrivals    {summary.rate:.4g} per second{cv}"
    yield f"text        {summary.with_prompt:,} tasks with a prompt"
    if summary.counted:
        read, written = summary.input_tokens / summary.counted, summary.output_tokens / summary.counted
        yield f"tokens      {summary.counted:,} tasks counted: {read:,.0f} in, {written:,.0f} out on average"
    priorities = Counter({str(key): summary.priorities[key] for key in sorted(summary.priorities)})
    yield f"priorities  {_format_counts(priorities)}"
    for label, counts in (("agents", summary.agents), ("clients", summary.clients), ("models", summary.models)):
        if set(counts) - {""}:
            yield f"{label:<11} {_format_counts(counts)}"
    for at, policy in summary.switches[:10]:
        yield f"policy      {policy} at {duration(at)}"
    if summary.controls:
        yield f"controls    {_format_counts(summary.controls)}"
    if not summary.complete:
        yield "end         no end record: it may have been cut"
    if not summary.in_order:
        yield "order       the lines are not in order of time"
    if summary.tasks > 1 and summary.duration > 0:
        yield ""
        yield from arrivals_plot(summary)


def arrivals_plot(summary: Summary, bins: int = _BINS) -> Iterator[str]:
    """Plot the arrivals in `bins` equal parts of the time, as columns of blocks."""
    counts = summary.arrivals(bins)
    most = max(counts)
    width = summary.duration / bins
    yield f"arrivals, each column {duration(width)}, the highest {most:,}"
    for row in range(_ROWS - 1, -1, -1):
        filled = (min(8, max(0, -(-count * _ROWS * 8 // most) - row * 8)) for count in counts)
        yield "  " + "".join(_EIGHTHS[eighths] for eighths in filled).rstrip()
    end = duration(summary.duration)
    yield f"  0{end:>{bins - 1}}"


def _format_counts(counts: Counter[str], shown: int = 8) -> str:
    total = counts.total()
    most = list(counts.items()) if len(counts) <= shown else counts.most_common(shown)
    listed = ", ".join(f"{one_line(name, 40) or '(none)'} {count:,} ({count / total:.0%})" for name, count in most)
    return listed + (f", and {len(counts) - shown} more" if len(counts) > shown else "")
