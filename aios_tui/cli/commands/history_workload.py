"""`aios-tui history export --workload`: a part of the history as a workload file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aios_tui.cli.output import local_time
from engine.task import TaskState
from engine.workloads.compression import create
from engine.workloads.format import WorkloadHeader
from engine.workloads.from_history import FromHistory, PastAct, PastTask
from engine.workloads.writer import WorkloadWriter
from persistence import History
from persistence.submissions import Submission


async def write_workload(history: History, path: Path, filters: dict[str, Any]) -> int:
    """Write the matching tasks with the policy and priority changes of their time. Returns the number of tasks.

    Raises:
        UsageError: the file can't be written. StoreError: the history can't be read.
    """
    acts = await history.acts(since=filters["since"], until=filters["until"])
    past = FromHistory([PastAct(act.at, act.policy, act.task, act.priority) for act in acts])
    header = WorkloadHeader().noting(what=f"from the history{_format_filters(filters)}")
    with create(path) as out:
        writer = WorkloadWriter(out, header)
        async for submission in history.submissions(**filters):
            task = _past_task(submission)
            if task is not None:
                for item in past.add(task):
                    writer.write(item)
        for item in past.rest():
            writer.write(item)
        writer.finish()
    return writer.tasks


def _past_task(submission: Submission) -> PastTask | None:
    if submission.spec is None:
        return None
    done = submission.state is TaskState.DONE and submission.tokens_out > 0
    return PastTask(
        submission.id,
        submission.submitted_at,
        submission.spec,
        (submission.tokens_in, submission.tokens_out) if done else None,
        submission.ended_at if submission.state is TaskState.CANCELLED else None,
    )


def _format_filters(filters: dict[str, Any]) -> str:
    """Return the filters as the end of a note; empty without any."""
    parts = []
    for name, value in filters.items():
        if value is not None:
            shown = local_time(value, "seconds") if name in ("since", "until") else value
            parts.append(f"{name} {shown}")
    return f": {', '.join(parts)}" if parts else ""
