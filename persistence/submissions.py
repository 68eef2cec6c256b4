"""Tasks as they were submitted, and operator actions: the input for repeating a span of history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from engine.task import TaskSpec, TaskState
from engine.validation import Strict
from persistence.recovery import to_spec
from persistence.rows import to_options

COLUMNS = (
    "id, agent, prompt, asked_priority, asked_model, client, deadline, options, ref, workload, input_tokens,"
    " output_tokens, query, submitted_at, state, ended_at, tokens_in, tokens_out"
)


class Submission(Strict):
    """A task as it was submitted. `spec` is None if a damaged file made it unreadable. Times: Unix seconds."""

    id: int
    submitted_at: float
    spec: TaskSpec | None
    state: TaskState
    ended_at: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0


class ActRow(Strict):
    """An operator action at `at`: a switch to `policy`, or a change of `task` to `priority`."""

    at: float
    policy: str | None = None
    task: int | None = None
    priority: int | None = None


ACTS = (
    "SELECT at, policy, NULL AS task, NULL AS priority FROM policy_switches WHERE at < :until"
    " UNION ALL SELECT at, NULL, task, priority FROM priority_changes WHERE at >= :since AND at < :until ORDER BY at"
)
"""Includes policy switches before `since`: the last of them was in force at that time."""


def to_submission(row: Mapping[str, Any]) -> Submission | None:
    """The submission in a row of COLUMNS; None if even its id and times can't be read."""
    try:
        spec = to_spec(row, to_options(row["options"]))
    except ValidationError:
        spec = None
    try:
        return Submission.model_validate(
            {name: row[name] for name in Submission.model_fields if name != "spec"} | {"spec": spec}
        )
    except ValidationError:
        return None
