"""Tasks: their specification, their state in the kernel, and the record that history and scripts read."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from engine.llm_query import LlmQuery, clean_json
from engine.sanitise import one_line
from engine.validation import Strict

MOST_URGENT, LEAST_URGENT, DEFAULT_PRIORITY = 0, 9, 5
MAX_PROMPT_CHARS = 1_048_576


def _name(value: str) -> str:
    return one_line(value, 200)


Priority = Annotated[int, Field(ge=MOST_URGENT, le=LEAST_URGENT)]
Text = Annotated[str, BeforeValidator(clean_json), Field(max_length=MAX_PROMPT_CHARS)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]


class TaskState(StrEnum):
    """`queued → running → done | failed | cancelled`. A task is also running between two rounds."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)


class AttemptState(StrEnum):
    """The state of one execution of a syscall. `interrupted`: the process died or was stopped meanwhile."""

    EXECUTING = "executing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class KernelState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    STOPPED = "stopped"


Probability = Annotated[float, Field(ge=0, le=1)]
StopText = Annotated[str, Field(min_length=1, max_length=200)]


def _duration(value: str) -> str:
    if not re.fullmatch(r"-1|0|\d{1,9}(\.\d{1,9})?(s|m|h)", value, re.ASCII):
        raise ValueError("not a valid duration; use 300s, 5m or 1h, 0 for no time, or -1 for ever")
    return value


KeepAlive = Annotated[str, AfterValidator(_duration)]
"""Time that a model stays in memory after use: `300s`, `5m`, `1h`, `0` for no time, `-1` for ever."""


class GenerationOptions(Strict):
    """Options of one generation. None leaves an option to the agent, and then to the core.

    Attributes:
        max_tokens: of the reply (Ollama: `num_predict`). num_ctx: context tokens; a change reloads the model.
        think: True, False or an effort: a reasoning model thinks before it answers; its thoughts are kept apart.
        format: `json`, or the JSON schema that the reply must match; enforced by the server's grammar.
        keep_alive: time that the model stays in memory after the request.
        endpoint: `chat` with the model's template; `generate`: the same with only the last message and the system
            message; `raw`: that prompt without any template.
    """

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    seed: int | None = None
    num_ctx: Annotated[int, Field(ge=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: Probability | None = None
    min_p: Probability | None = None
    repeat_penalty: Annotated[float, Field(ge=0, le=10)] | None = None
    stop: Annotated[tuple[StopText, ...], BeforeValidator(clean_json), Field(max_length=16)] | None = None
    think: bool | Literal["low", "medium", "high"] | None = None
    format: Annotated[Literal["json"] | dict[str, JsonValue], BeforeValidator(clean_json)] | None = None
    keep_alive: KeepAlive | None = None
    endpoint: Literal["chat", "generate", "raw"] | None = None

    def over(self, base: GenerationOptions) -> GenerationOptions:
        """These options; those that are None are taken from `base`."""
        return base.model_copy(update=self.model_dump(exclude_none=True))


class TaskSpec(Strict):
    """A task as an operator or client submits it.

    `deadline` is in seconds after submission; it is recorded, not enforced. `ref` is the submitter's own id of the
    task, `workload` the file it came from. A trace row without text has `input_tokens` instead of a prompt.
    `query` is a client's whole conversation, for the agent `kernel/query`; `prompt` is then its last message, to show.
    """

    prompt: Text = ""
    agent: Name = "chat"
    priority: Priority = DEFAULT_PRIORITY
    model: Name | None = None
    client: Name | None = None
    deadline: Annotated[float, Field(gt=0)] | None = None
    options: GenerationOptions = GenerationOptions()
    ref: Name | None = None
    workload: Name | None = None
    input_tokens: Annotated[int, Field(ge=0)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None
    query: LlmQuery | None = None

    @model_validator(mode="after")
    def _has_something_to_do(self) -> Self:
        if not self.prompt.strip() and self.input_tokens is None and self.query is None:
            raise ValueError("the prompt is empty")
        return self


@dataclass(frozen=True, slots=True)
class TaskFault:
    """The cause of a failed task, for programs; `Task.error` has it as text.

    Attributes:
        kind: the value of an `engine.cores.port.FaultKind`, such as `no_model`.
        model: the model that was asked for; None if neither the task nor the core named one.
        core: the core that the last attempt ran on.
    """

    kind: str
    model: str | None = None
    core: str | None = None


@dataclass(slots=True, eq=False)
class Task:
    """A task and its state. Times are Unix seconds, durations seconds.

    Attributes:
        id: given at submission, increasing within a history, so it is also the arrival number.
        dispatch_order: 1 for the first task that is dispatched in this run of the program.
        rounds: llm syscalls completed. round_total: the number that the agent announced, if it did.
        interruptions: how often a process died while this task ran.
        core, model: of the last attempt and reply. ttft_s: from the dispatch to the first token of the first round.
        service_s: time spent executing, over all attempts. decode_s: the part from first to last token.
        held: queued, but not dispatched until it is released; it keeps its priority and arrival.
        fault: why it failed, for programs; None if it did not fail, or for another reason than a core's fault.

    An interrupted task starts again, and attempts, tokens and times count from then on. The cost of earlier starts is
    in their attempts in the history; only a task that failed for its interruptions has the sum of all.
    """

    id: int
    spec: TaskSpec
    submitted_at: float
    priority: int
    state: TaskState = TaskState.QUEUED
    started_at: float | None = None
    ended_at: float | None = None
    dispatch_order: int | None = None
    rounds: int = 0
    round_total: int | None = None
    attempts: int = 0
    interruptions: int = 0
    retry_of: int | None = None
    core: str | None = None
    model: str | None = None
    result: str | None = None
    error: str | None = None
    ttft_s: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    service_s: float = 0.0
    decode_s: float = 0.0
    held: bool = False
    fault: TaskFault | None = None


class TaskRecord(BaseModel):
    """One task as scripts and history read it; `--json` prints it as a line.

    `waiting_s` = started − submitted, `turnaround_s` = ended − submitted, `tokens_per_s` = tokens out over decoding
    time, all in seconds; the three times are Unix seconds.
    `agent` is the agent's name in the catalogue, `agent_name` the name in the submission.
    """

    model_config = ConfigDict(extra="forbid")

    id: int
    agent: str
    agent_name: str
    prompt: str
    priority: int
    state: TaskState
    result: str | None = None
    rounds: int = 0
    core: str | None = None
    model: str | None = None
    submitted_at: float
    started_at: float | None = None
    ended_at: float | None = None
    waiting_s: float | None = None
    turnaround_s: float | None = None
    service_s: float | None = None
    ttft_s: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_per_s: float | None = None
    attempts: int = 0
    error: str | None = None
    dispatch_order: int | None = None
    client: str | None = None
    deadline: float | None = None
    ref: str | None = None
    workload: str | None = None
    retry_of: int | None = None
    held: bool = False
    fault: TaskFault | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds from its start to its end; None before it has ended, or if it never started."""
        return None if self.started_at is None or self.ended_at is None else self.ended_at - self.started_at

    @classmethod
    def of(cls, task: Task) -> TaskRecord:
        """The record of a task in its present state."""
        spec = task.spec
        return cls(
            agent=spec.agent.rpartition("/")[2],
            agent_name=spec.agent,
            waiting_s=None if task.started_at is None else task.started_at - task.submitted_at,
            turnaround_s=None if task.ended_at is None else task.ended_at - task.submitted_at,
            service_s=task.service_s if task.attempts else None,
            tokens_per_s=task.tokens_out / task.decode_s if task.decode_s > 0 else None,
            **{name: getattr(spec, name) for name in ("prompt", "client", "deadline", "ref", "workload")},
            **{name: getattr(task, name) for name in _SAME},
        )


_SAME = tuple({field.name for field in fields(Task)} & TaskRecord.model_fields.keys() - {"service_s"})
"""Fields of TaskRecord that are copied from Task under the same name."""
