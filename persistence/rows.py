"""Rows of the history as readers get them: validated, with all text sanitised."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, JsonValue, ValidationError, computed_field

from engine.llm_query import clean_json
from engine.sanitise import one_line, sanitise
from engine.task import AttemptState, GenerationOptions, TaskRecord
from engine.validation import Strict

Model = TypeVar("Model", bound=BaseModel)

# Replacements for values that a damaged file makes unreadable, for required fields; the others become None.
_PLACEHOLDERS: Mapping[str, Any] = {
    **dict.fromkeys(("agent", "agent_name", "slot", "core", "policy", "program", "version", "workload"), "?"),
    **dict.fromkeys(("submitted_at", "ready_at", "started_at", "at"), 0.0),
    **dict.fromkeys(("start", "starts", "round", "attempt", "pid", "interruptions", "accepted_run", "run"), 0),
    **dict.fromkeys(("priority", "previous", "asked_priority"), 5),
    "prompt": "",
    "state": "failed",
    "mode": "virtual",
}


class ToolCallRow(Strict):
    """A tool call that a model asked for."""

    name: str
    arguments: dict[str, JsonValue] = {}  # noqa: RUF012  (pydantic copies it)
    id: str = ""


def _calls(value: Any) -> Any:
    """Parse the column's JSON; the pydantic model rejects anything else."""
    return clean_json(json.loads(value)) if isinstance(value, str) and value else value or ()


class AttemptRow(Strict):
    """One execution of a syscall. Times are Unix seconds, durations seconds.

    `start` counts the task's starts: after an interruption it starts again with round 1, attempt 1.
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
        """Seconds that the syscall waited for a slot."""
        return self.started_at - self.ready_at


class PriorityChangeRow(Strict):
    """A change of a task's priority at `at`."""

    at: float
    priority: int
    previous: int


class RunRow(Strict):
    """A program that owned this history. `ended_at` None: it still does, or it was killed."""

    id: int
    pid: int
    program: str
    version: str
    core: str | None = None
    started_at: float
    ended_at: float | None = None


class AgentRow(Strict):
    """Statistics of an agent: tasks by end state, mean times of those that are done, in seconds, and tokens."""

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


class TaskDetail(Strict):
    """Everything in the history about a task. `asked_priority` and `asked_model` are those of its submission."""

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
    """Make a `model` from `row`. Unreadable values of a damaged file are replaced, and the field `error` names them."""
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
    """An attempt's model, tokens and seconds; 0 for numbers that a damaged file made unreadable."""
    model, *numbers = row
    read, written, prefill, decode = (n if isinstance(n, int | float) and math.isfinite(n) else 0 for n in numbers)
    name = one_line(model, 200) if isinstance(model, str) else None
    return name, int(read), int(written), float(prefill), float(decode)


def to_options(text: Any) -> GenerationOptions:
    """Parse the JSON options; default options if they are damaged."""
    try:
        return GenerationOptions.model_validate_json(text)
    except ValidationError:
        return GenerationOptions()


def _safe(value: Any) -> Any:
    """Sanitised, if it is text; a damaged file may have bytes in place of text."""
    if type(value) is bytes:
        value = value.decode("utf-8", "replace")
    return sanitise(value) if type(value) is str else value
