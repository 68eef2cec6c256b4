"""A workload's summary as text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textual.content import Content

from aios_tui.formatting import numbers
from aios_tui.workloads.catalogue import CatalogueEntry
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from engine.workloads.summary import Summary

LABEL = 11
MOST = 6


def head_of(entry: CatalogueEntry | None, busy: str) -> list[Content]:
    """Return the screen's first line."""
    cells = [Content.styled("Workloads", "bold")]
    if busy:
        cells.append(Content.styled(busy, "$warning"))
    elif entry is not None:
        cells.append(Content.styled(one_line(entry.about, 200), "$muted"))
    return cells


def span_of(summary: Summary) -> str:
    """Return the time from the first to the last arrival."""
    return numbers.took(summary.duration)


def facts_of(summary: Summary) -> Content:
    """Return a line per fact."""
    rate, spread = summary.rate, summary.gap_cv
    pace = "all at once" if not summary.duration else f"over {span_of(summary)}"
    if rate is not None:
        pace += f", {rate:.3g} a second"
    if spread is not None:
        pace += f", gaps CV {spread:.2f}"
    lines = [_line("tasks", Content.assemble((f"{summary.tasks:,}", "bold"), f" {pace}"))]
    lines.append(_line("agents", _counted({one_line(name, 40): n for name, n in summary.agents.items()})))
    lines.append(_line("priorities", _priorities(summary.priorities)))
    if set(summary.clients) - {""}:
        lines.append(_line("clients", _counted({one_line(name, 40) or "–": n for name, n in summary.clients.items()})))
    if set(summary.models) - {""}:
        lines.append(
            _line("models", _counted({one_line(name, 60) or "the core's own": n for name, n in summary.models.items()}))
        )
    text = "all with a prompt" if summary.with_prompt == summary.tasks else f"{summary.with_prompt:,} with a prompt"
    if summary.with_prompt == 0:
        text = "none: prompts of the given length are made up"
    lines.append(_line("text", Content(text)))
    if summary.counted:
        tokens = f"{summary.input_tokens:,} in, {summary.output_tokens:,} out, given for {summary.counted:,} tasks"
        lines.append(_line("tokens", Content(tokens)))
    if summary.switches:
        switches = ", ".join(f"{numbers.policy(name)} at {numbers.clock(at)}" for at, name in summary.switches[:MOST])
        more = f" and {len(summary.switches) - MOST:,} more" if len(summary.switches) > MOST else ""
        lines.append(_line("switches", Content(one_line(switches, 300) + more)))
    if summary.controls:
        lines.append(_line("controls", _counted(dict(summary.controls))))
    if not summary.complete:
        lines.append(_line("end", Content.styled("no end record: cut off, or written by hand", "$warning")))
    return Content("\n").join(lines)


def switches_text(summary: Summary | None, on: bool) -> str:
    """Say what happens to the file's own policy switches and pauses. `summary` is None while the file is read."""
    verb = "follows" if on else "leaves out"
    if summary is None:
        return f"{verb} the file's own policy switches and pauses"
    counts = [
        (len(summary.switches), "policy switch", "policy switches"),
        (summary.controls["pause"], "pause", "pauses"),
    ]
    if parts := [plural(*each) for each in counts if each[0]]:
        return f"{verb} the file's {' and '.join(parts)}"
    return "the file has no policy switches"


def _line(label: str, value: Content) -> Content:
    return Content.assemble((label.ljust(LABEL), "$muted"), value)


def _counted(counts: dict[str, int]) -> Content:
    common = Counter(counts).most_common()
    parts = [Content.assemble(name, (f" {count:,}", "$muted")) for name, count in common[:MOST]]
    if len(common) > MOST:
        parts.append(Content.styled(f"and {len(common) - MOST:,} more", "$muted"))
    return Content("  ").join(parts)


def _priorities(counts: Counter[int]) -> Content:
    return Content("  ").join(
        Content.assemble((str(level), f"bold $priority-{level}"), (f" {counts[level]:,}", "$muted"))
        for level in sorted(counts)
    )
