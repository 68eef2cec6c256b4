"""Tasks as they were submitted, and what was done on the way: what a stretch of history is repeated from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from engine.task import TaskSpec, TaskState
from persistence.rows import Row, to_options

COLUMNS = (
    "id, agent, prompt, asked_priority, asked_model, client, deadline, options, ref, workload, input_tokens,"
    " output_tokens, query, submitted_at, state, ended_at, tokens_in, tokens_out"
)


class Submission(Row):
    """A task as it was submitted. `spec` is None where a damaged file made it unreadable. Moments: Unix seconds."""

    id: int
    submitted_at: float
    spec: TaskSpec | None
    state: TaskState
    ended_at: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0


class ActRow(Row):
    """A switch to `policy`, or task `task` given `priority`, at `at`."""

    at: float
    policy: str | None = None
    task: int | None = None
    priority: int | None = None


ACTS = (
    "SELECT at, policy, NULL AS task, NULL AS priority FROM policy_switches WHERE at < :until"
    " UNION ALL SELECT at, NULL, task, priority FROM priority_changes WHERE at >= :since AND at < :until ORDER BY at"
)
"""Of policies also those from before `since`: the last of them was in force then."""


def to_submission(row: Mapping[str, Any]) -> Submission | None:
    """The submission in a row of COLUMNS; None when not even its id and times can be read."""
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
    said = {name: values[name] for name in same if values[name] is not None}
    if values["asked_model"] is not None:
        said["model"] = values["asked_model"]
    try:
        spec = TaskSpec.model_validate(
            {**said, "priority": values["asked_priority"], "options": to_options(values["options"])} | _query(values)
        )
    except ValidationError:
        return None
    return spec


def _query(values: Mapping[str, Any]) -> dict[str, Any]:
    from engine.llm_query import LlmQuery

    if values["query"] is None:
        return {}
    return {"query": LlmQuery.model_validate_json(values["query"])}
