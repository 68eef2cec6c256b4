"""Workload file format, version 1: JSONL with a header, tasks and controls, and an end. Unknown keys are refused.

    {"kind": "workload", "version": 1, "seed": 7, "defaults": {}, "origin": {"what": "…", "assigned": "…"}}
    {"kind": "task", "id": "t1", "at": 0.0, "agent": "chat", "prompt": "…", "priority": 3}
    {"kind": "task", "id": "t2", "at": 0.4, "input_tokens": 374, "output_tokens": 44}
    {"kind": "control", "at": 5.0, "op": "policy", "policy": "npps"}
    {"kind": "control", "at": 6.0, "op": "priority", "task": "t1", "priority": 0}
    {"kind": "control", "at": 7.0, "op": "cancel", "task": "t2"}
    {"kind": "end", "tasks": 2, "sha256": "…"}

`at` is in seconds from the start. The end record counts the tasks and hashes the bytes of all lines before it, line
ends included; hand-written files may omit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, field_validator, model_validator

from engine.errors import UsageError
from engine.llm_query import LlmQuery
from engine.sanitise import one_line
from engine.scheduling import parse_policy
from engine.task import DEFAULT_PRIORITY, GenerationOptions, Name, Priority, TaskSpec, Text
from engine.validation import Strict

MAX_LINE_BYTES = 1_048_576
MAX_AT = 1e10
"""Seconds, about three hundred years. A larger number is a mistake, such as nanoseconds since 1970."""

At = Annotated[float, Field(ge=0, le=MAX_AT, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


def _note(value: Any) -> Any:
    return one_line(value, 1000) if isinstance(value, str) else value


Note = Annotated[str | int | float | bool | None, BeforeValidator(_note)]


class Defaults(Strict):
    """Values for tasks that omit them."""

    agent: Name | None = None
    priority: Priority | None = None
    model: Name | None = None
    client: Name | None = None
    deadline: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    options: GenerationOptions | None = None


class WorkloadHeader(Strict):
    """The first line. `origin` has notes for people: `what` it is, what was `assigned` and how, `licence`, `source`."""

    kind: Literal["workload"] = "workload"
    version: Literal[1] = 1
    seed: int | None = None
    defaults: Defaults = Defaults()
    origin: Annotated[dict[Annotated[str, Field(max_length=100)], Note], Field(max_length=100)] = {}  # noqa: RUF012

    def noting(self, **notes: str | float | None) -> WorkloadHeader:
        """Return a copy with more notes in its origin; an existing note is continued after a semicolon."""
        origin = dict(self.origin)
        for key, value in notes.items():
            before = origin.get(key)
            origin[key] = f"{before}; {value}" if before else value
        return self.model_copy(update={"origin": origin})


class TaskRow(Strict):
    """One task. None takes the header's default, else the default of `TaskSpec`.

    Attributes:
        id: the task's name in reports; the reader names those without `t1`, `t2`, ….
        query: a client's own llm call, for the agent `kernel/query`.
        service: seconds of execution in virtual time, where it does not follow from token counts.
    """

    kind: Literal["task"] = "task"
    id: Name | None = None
    at: At = 0.0
    agent: Name | None = None
    prompt: Text | None = None
    priority: Priority | None = None
    model: Name | None = None
    client: Name | None = None
    deadline: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    options: GenerationOptions | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    query: LlmQuery | None = None
    service: Annotated[float, Field(ge=0, le=MAX_AT, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _has_something_to_do(self) -> Self:
        counted = self.input_tokens is not None or self.service is not None
        if not (self.prompt or "").strip() and not counted and self.query is None:
            raise ValueError("a task has a prompt, input_tokens, query or service")
        return self

    def spec(self, defaults: Defaults, workload: str | None = None) -> TaskSpec:
        """Return the task to submit. A row with only counts keeps them, and its prompt stays empty.

        A row with only a service time has no work for a real core and counts as 0 tokens.
        """
        options = self.options or GenerationOptions()
        text = self.prompt or ""
        no_work = not text.strip() and self.input_tokens is None and self.query is None
        return TaskSpec(
            prompt=text,
            agent=self.agent or defaults.agent or "chat",
            priority=next((p for p in (self.priority, defaults.priority) if p is not None), DEFAULT_PRIORITY),
            model=self.model or defaults.model,
            client=self.client or defaults.client,
            deadline=self.deadline or defaults.deadline,
            options=options.over(defaults.options) if defaults.options else options,
            ref=self.id,
            workload=workload,
            input_tokens=0 if no_work else self.input_tokens,
            output_tokens=self.output_tokens,
            query=self.query,
        )


_OPERANDS: Mapping[str, frozenset[str]] = {
    "policy": frozenset({"policy"}),
    "priority": frozenset({"task", "priority"}),
    "cancel": frozenset({"task"}),
    "hold": frozenset({"task"}),
    "release": frozenset({"task"}),
    "pause": frozenset(),
    "resume": frozenset(),
}


class ControlRow(Strict):
    """An operator's action. It has the operands that its `op` needs, and no others.

    `policy` switches to the policy with that canonical name. `priority`, `cancel`, `hold` and `release` act on the task
    with that id, which is in the file as well. `pause` and `resume` stop and restart dispatching.
    """

    kind: Literal["control"] = "control"
    at: At
    op: Literal["policy", "priority", "cancel", "hold", "release", "pause", "resume"] = "policy"
    policy: Annotated[str, Field(max_length=200)] | None = None
    task: Name | None = None
    priority: Priority | None = None

    @field_validator("policy")
    @classmethod
    def _is_a_policy(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return parse_policy(value).name
        except UsageError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _has_its_operands(self) -> Self:
        needs = _OPERANDS[self.op]
        for name in ("policy", "task", "priority"):
            if (getattr(self, name) is not None) != (name in needs):
                raise ValueError(f"op {self.op!r} {'needs' if name in needs else 'takes no'} {name}")
        return self


class EndRow(Strict):
    """The last line: the number of tasks before it, and the SHA-256 of all bytes before it, in hexadecimal."""

    kind: Literal["end"] = "end"
    tasks: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Item = TaskRow | ControlRow
Line = Annotated[WorkloadHeader | TaskRow | ControlRow | EndRow, Field(discriminator="kind")]

line_adapter: TypeAdapter[WorkloadHeader | TaskRow | ControlRow | EndRow] = TypeAdapter(Line)


def encode(record: BaseModel) -> bytes:
    """Return one line of a file; unset fields are omitted."""
    return record.model_dump_json(exclude_none=True).encode() + b"\n"
