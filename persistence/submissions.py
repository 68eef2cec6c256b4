"""Tasks as they were submitted, and operator actions: the input for repeating a span of history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from engine.llm_query import LlmQuery
from engine.task import TaskSpec, TaskState
from persistence.rows import Row, to_options

COLUMNS = (
    "id, agent, prompt, asked_priority, asked_model, client, deadline, options, ref, workload, input_tokens,"
    " output_tokens, query, submitted_at, state, ended_at, tokens_in, tokens_out"
)


class Submission(Row):
    """A task as it was submitted. `spec` is None if a damaged file made it unreadable. Times: Unix seconds."""

    id: int
    submitted_at: float
    spec: TaskSpec | None
    state: TaskState
    ended_at: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0


class ActRow(Row):
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
    values = dict(row)
    try:
        kept = Submission.model_validate(
            {name: values[name] for name in Submission.model_fields if name != "spec"} | {"spec": None}
        )
    except ValidationError:
        return None
    return kept.model_copy(update={"spec": _spec(values)})


def _spec(values: Mapping[str, Any]) -> TaskSpec | None:
    same = ("agent", "prompt", "client", "deadline", "ref", "workload", "input_tokens", "output_tokens")
    fields = {name: values[name] for name in same if values[name] is not None}
    if values["asked_model"] is not None:
        fields["model"] = values["asked_model"]
    try:
        if values["query"] is not None:
            fields["query"] = LlmQuery.model_validate_json(values["query"])
        return TaskSpec.model_validate(
            {**fields, "priority": values["asked_priority"], "options": to_options(values["options"])}
        )
    except ValidationError:
        return None
