"""The head of the task screen: what the task is, its times and counts, and its interrupted starts."""

from __future__ import annotations

from textual.content import Content

from aios_tui.console.state.task_details import TaskPage
from aios_tui.formatting import numbers
from engine.sanitise import one_line
from engine.task import TaskState


def head_cells(page: TaskPage) -> list[Content]:
    """State, agent, priority, id, model, core and client of a task, as cells of a line."""
    mark, ink = numbers.MARKS[page.state]
    colour = {"accent": "$accent", "good": "$success", "bad": "$error"}.get(ink, "$muted")
    parts = [
        Content.assemble((f"{mark} {page.state}{', held' if page.held else ''}", f"bold {colour}")),
        Content.styled(one_line(page.agent, 60), "bold"),
        Content.assemble(("pri ", "$muted"), (str(page.priority), f"bold $priority-{page.priority}")),
        Content.styled(f"#{page.id}", "$muted"),
    ]
    if page.model or page.core:
        location = " on ".join(one_line(part, 60) for part in (page.model, page.core) if part)
        parts.append(Content(location))
    if page.client:
        parts.append(Content.assemble(("from ", "$muted"), one_line(page.client, 60)))
    if page.retry_of:
        parts.append(Content.styled(f"retry of #{page.retry_of}", "$muted"))
    return parts


def fact_cells(page: TaskPage) -> list[Content]:
    """The times, tokens and counts of a task that are known, as cells of a line."""
    values = [
        ("waited", numbers.clock(page.waited_s) if page.state is TaskState.QUEUED else numbers.took(page.waited_s)),
        ("running", numbers.clock(page.since_start_s) if page.since_start_s is not None else ""),
        ("service", numbers.took(page.service_s)),
        ("turnaround", numbers.took(page.turnaround_s)),
        ("TTFT", numbers.took(page.ttft_s)),
        ("tokens in", f"{page.tokens_in:,}" if page.attempts else ""),
        ("out", f"{page.tokens_out:,}" if page.attempts else ""),
        ("tok/s", numbers.rate(page.tokens_per_s)),
        ("rounds", numbers.rounds(page.rounds_done, page.round_total)),
        ("retries", str(page.retries or "")),
        ("interruptions", str(page.interruptions) if page.interruptions else ""),
    ]
    return [Content.assemble((f"{name} ", "$muted"), value) for name, value in values if value not in ("", "–")]


def earlier_starts(page: TaskPage) -> str:
    """One line for each attempt of an interrupted start; empty if there is none."""
    lines = [
        one_line(
            f"start {each.start}, round {each.round}, attempt {each.attempt}: {each.state} on {each.slot} after "
            f"{numbers.took(each.service_s)}{': ' + each.error if each.error else ''}",
            500,
        )
        for each in page.earlier
    ]
    return "\n".join(["Earlier starts, interrupted:", *lines]) if lines else ""
