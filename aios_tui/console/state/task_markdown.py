"""A task as a Markdown file."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from aios_tui.console.state.task_details import RoundPage, TaskPage, tool_call_text
from aios_tui.formatting import numbers
from engine.sanitise import one_line, sanitise

if TYPE_CHECKING:
    from persistence.rows import AttemptRow


def markdown_of(page: TaskPage, at: datetime) -> str:
    """Return the whole task: facts, prompt, all rounds with attempts, result. `at`: time of the export."""
    head = [f"# Task {page.id}: {_plain(page.agent)}, {page.state}", ""]
    parts = ["\n".join(head + [f"- {name}: {value}" for name, value in _facts(page)])]
    parts.append(f"## Prompt\n\n{fenced(page.prompt)}")
    parts.extend(_round(each, page) for each in page.rounds)
    parts.extend(f"## Round {each.round}, still running\n\n{each.text}" for each in page.slots if each.text)
    if page.result and not (page.rounds and page.rounds[-1].last.reply.strip() == page.result.strip()):
        parts.append(f"## Result\n\n{sanitise(page.result).strip()}")
    if page.error:
        parts.append(f"## Error\n\n{fenced(page.error)}")
    parts.append(f"Exported {at.isoformat(' ', 'seconds')} by aios-tui.")
    return "\n\n".join(parts) + "\n"


def fenced(text: str) -> str:
    """Return the text as a code block whose fence does not occur in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{sanitise(text).strip()}\n{fence}"


def _facts(page: TaskPage) -> list[tuple[str, str]]:
    facts = [
        ("priority", str(page.priority)),
        ("client", _plain(page.client)),
        ("core", _plain(page.core)),
        ("model", _plain(page.model)),
        ("waited", numbers.took(page.waited_s)),
        ("service", numbers.took(page.service_s)),
        ("turnaround", numbers.took(page.turnaround_s)),
        ("first token after", numbers.took(page.ttft_s)),
        ("tokens", f"{page.tokens_in:,} in, {page.tokens_out:,} out"),
        ("tokens per second", numbers.rate(page.tokens_per_s)),
        ("rounds", numbers.rounds(page.rounds_done, page.round_total)),
        ("retries", str(page.retries or "")),
    ]
    return [(name, value) for name, value in facts if value not in ("", "–")]


def _plain(text: str | None) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", one_line(text or "", 200))


def _round(each: RoundPage, page: TaskPage) -> str:
    parts = [f"## Round {each.number}"]
    if each.last.prompt.strip() and each.last.prompt.strip() != page.prompt.strip():
        parts.append(f"### Its prompt\n\n{fenced(each.last.prompt)}")
    parts.extend(_attempt(attempt) for attempt in each.attempts)
    return "\n\n".join(parts)


def _attempt(attempt: AttemptRow) -> str:
    parts = [
        f"Attempt {attempt.attempt}: {attempt.state}, {_plain(attempt.model or 'no model')} on {_plain(attempt.slot)}, "
        f"{numbers.took(attempt.service_s)}, {attempt.tokens_out:,} tokens."
    ]
    if attempt.error:
        parts.append(fenced(f"{attempt.fault}: {attempt.error}" if attempt.fault else attempt.error))
    if attempt.thinking:
        parts.append(f"<details><summary>Thinking</summary>\n\n{fenced(attempt.thinking)}\n\n</details>")
    if attempt.reply:
        parts.append(sanitise(attempt.reply).strip())
    parts.extend(fenced(tool_call_text(call)) for call in attempt.tool_calls)
    return "\n\n".join(parts)
