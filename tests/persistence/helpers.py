"""Valid events for tests, made short."""

from __future__ import annotations

from engine.cores.port import Usage
from engine.events import AttemptEnded, AttemptStarted, TaskAccepted, TaskEnded, TaskStarted
from engine.task import AttemptState, Task, TaskSpec, TaskState


def accepted(task: int, prompt: str = "Tell me a story", *, at: float = 100.0, priority: int = 5) -> TaskAccepted:
    return TaskAccepted(at, task, TaskSpec(prompt=prompt, priority=priority))


def started(task: int, *, at: float = 101.0, order: int = 1) -> TaskStarted:
    return TaskStarted(at, task, order, 1)


def attempt(task: int, *, round: int = 1, number: int = 1, at: float = 101.0) -> AttemptStarted:
    return AttemptStarted(at, task, round, number, "scripted/0", "scripted", "m", at - 0.5, "the prompt")


def attempt_ended(
    task: int,
    *,
    round: int = 1,
    number: int = 1,
    at: float = 103.0,
    state: AttemptState = AttemptState.DONE,
    reply: str = "Once upon a time",
) -> AttemptEnded:
    usage = Usage(tokens_in=7, tokens_out=20, load_s=0.1, prefill_s=0.2, decode_s=1.0)
    return AttemptEnded(
        at, task, round, number, "scripted/0", state, "m:1b", reply, "hm", usage, ttft_s=0.3, service_s=2.0
    )


def ended(
    task: int,
    *,
    at: float = 103.0,
    state: TaskState = TaskState.DONE,
    result: str | None = "Once upon a time",
    error: str | None = None,
) -> TaskEnded:
    final = Task(
        task,
        TaskSpec(prompt="Tell me a story"),
        submitted_at=100.0,
        priority=5,
        state=state,
        started_at=101.0,
        ended_at=at,
        dispatch_order=1,
        rounds=1,
        round_total=1,
        attempts=1,
        core="scripted",
        model="m:1b",
        result=result,
        error=error,
        ttft_s=0.3,
        tokens_in=7,
        tokens_out=20,
        service_s=2.0,
        decode_s=1.0,
    )
    return TaskEnded(at, task, state, final)
