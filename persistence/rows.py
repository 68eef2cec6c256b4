"""Rows of the history as readers get them: validated, with all text made safe to show."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError, computed_field

from engine.llm_query import clean_json
from engine.sanitise import one_line, sanitise
from engine.task import AttemptState, GenerationOptions, TaskRecord, TaskState

Model = TypeVar("Model", bound=BaseModel)

# What stands in for a value that a damaged file makes unreadable, where the model has no default of its own.
_PLACEHOLDERS: Mapping[str, Any] = {
    "agent": "?",
    "agent_name": "?",
    "prompt": "",
    "priority": 5,
    "previous": 5,
    "state": "failed",
    "submitted_at": 0.0,
    "ready_at": 0.0,
    "started_at": 0.0,
    "at": 0.0,
    "start": 0,
    "round": 0,
    "attempt": 0,
    "slot": "?",
    "core": "?",
    "policy": "?",
    "program": "?",
    "version": "?",
    "pid": 0,
    "asked_priority": 5,
    "asked_model": None,
    "starts": 0,
    "interruptions": 0,
    "round_total": None,
    "accepted_run": 0,
    "ended_run": None,
    "run": 0,
    "workload": "?",
    "mode": "virtual",
}


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCallRow(Row):
    """What a model asked to have called."""

    name: str
    arguments: dict[str, JsonValue] = {}
    id: str = ""


def _calls(value: Any) -> Any:
    """The column's JSON; anything else is for the model to refuse."""
    return clean_json(json.loads(value)) if isinstance(value, str) and value else value or ()


class AttemptRow(Row):
    """One execution of a syscall. Moments are Unix seconds, durations seconds.

    `start` counts how often the task had begun: one that was interrupted begins again, from round 1, attempt 1.
    """

    task: int
    start: int
    round: int
    attempt: int
    state: AttemptState
    slot: str
    core: str
    model: str | None = None
    ready_at: float
    started_at: float
    ended_at: float | None = None
    prompt: str
    reply: str = ""
    thinking: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    load_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    ttft_s: float | None = None
    service_s: float = 0.0
    fault: str | None = None
    error: str | None = None
    tool_calls: Annotated[tuple[ToolCallRow, ...], BeforeValidator(_calls)] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def waiting_s(self) -> float:
        """How long the syscall was ready before it ran."""
        return self.started_at - self.ready_at


class PriorityChangeRow(Row):
    """A task's priority was changed, at `at`."""

    at: float
    priority: int
    previous: int


class PolicySwitchRow(Row):
    """The policy was switched, in run `run`; `previous` is None for the one it began with."""

    at: float
    run: int
    policy: str
    previous: str | None = None


class RunRow(Row):
    """A program had this history. `ended_at` None: it still has, or it was killed."""

    id: int
    pid: int
    program: str
    version: str
    core: str | None = None
    started_at: float
    ended_at: float | None = None


class AgentRow(Row):
    """How an agent has done: its tasks by how they ended, means over those that were done, in seconds, and tokens."""

    agent: str
    tasks: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    waiting_s: float | None = None
    turnaround_s: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    last_at: float | None = None


class TaskDetail(Row):
    """All that the history knows of a task. `asked_priority` and `asked_model` are what its submitter wanted."""

    record: TaskRecord
    asked_priority: int
    asked_model: str | None
    options: GenerationOptions
    starts: int
    interruptions: int
    round_total: int | None
    accepted_run: int
    ended_run: int | None
    attempts: tuple[AttemptRow, ...]
    priority_changes: tuple[PriorityChangeRow, ...]


RECORD_COLUMNS = (
    "id, agent AS agent_name, prompt, priority, state, result, rounds, core, model, submitted_at, started_at, ended_at,"
    " waiting_s, turnaround_s, service_s, ttft_s, tokens_in, tokens_out, decode_s, attempts, error, dispatch_order,"
    " client, deadline, ref, workload, retry_of, held, fault_kind, fault_model, fault_core"
)


def to_record(row: Mapping[str, Any]) -> TaskRecord:
    """The record in a row of `RECORD_COLUMNS`."""
    values = dict(row)
    decode_s = values.pop("decode_s")
    tokens = values["tokens_out"]
    kind, model, core = (values.pop(f"fault_{part}") for part in ("kind", "model", "core"))
    values["fault"] = None if kind is None else {"kind": _safe(kind), "model": _safe(model), "core": _safe(core)}
    name = values["agent_name"]
    values["agent"] = name.rpartition("/")[2] if isinstance(name, str) else name
    if not values["attempts"]:
        values["service_s"] = None
    if isinstance(decode_s, float) and isinstance(tokens, int) and decode_s > 0:
        values["tokens_per_s"] = tokens / decode_s
    return to_model(TaskRecord, values)


def to_model(model: type[Model], row: Mapping[str, Any]) -> Model:
    """`row` as a `model`. What a damaged file made unreadable is replaced, and `error`, where there is one, tells."""
    values = {name: _safe(value) for name, value in row.items()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        broken = {str(each["loc"][0]) for each in error.errors() if each["loc"]}
    for name in broken:
        if model.model_fields[name].is_required():
            values[name] = _PLACEHOLDERS.get(name)
        else:
            del values[name]
    if "error" in model.model_fields:
        values["error"] = one_line(f"this record is damaged: {', '.join(sorted(broken))} can't be read")
    return model.model_validate(values)


def to_timing(row: Sequence[Any]) -> tuple[str | None, int, int, float, float]:
    """An attempt's model, tokens and seconds; 0, which tells nothing, for what a damaged file made unreadable."""
    model, *numbers = row
    read, written, prefill, decode = (n if isinstance(n, int | float) and math.isfinite(n) else 0 for n in numbers)
    name = one_line(model, 200) if isinstance(model, str) else None
    return name, int(read), int(written), float(prefill), float(decode)


def to_options(text: Any) -> GenerationOptions:
    """The options in JSON `text`; none when it is damaged."""
    try:
        return GenerationOptions.model_validate_json(text)
    except ValidationError:
        return GenerationOptions()


def _safe(value: Any) -> Any:
    """Sanitised, if it is text; a damaged file may have bytes in place of text."""
    if type(value) is bytes:
        value = value.decode("utf-8", "replace")
    return sanitise(value) if type(value) is str else value


def no_counts() -> dict[TaskState, int]:
    """A count of 0 for each state."""
    return dict.fromkeys(TaskState, 0)
