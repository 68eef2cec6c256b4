"""Routes of tasks: submit, list, get, cancel, reprioritise, hold, release, retry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from engine.gateway.aios.agents import Seconds
from engine.gateway.aios.components import MaxTokens
from engine.gateway.errors import PROBLEMS
from engine.gateway.service import MAX_ID, Service, Shared, client_of
from engine.sanitise import one_line
from engine.task import GenerationOptions, Name, Priority, Task, TaskRecord, TaskState, Text

MAX_LISTED = 10_000

router = APIRouter(prefix="/v1/tasks", tags=["v1: tasks"], responses=PROBLEMS)
TaskId = Annotated[int, Path(ge=1, le=MAX_ID)]
Wait = Annotated[float, Query(ge=0, le=3600, description="Longest wait for the task's end, in seconds")]


class TaskOptions(GenerationOptions):
    """Generation options as in an agent's file, with integers that every server accepts."""

    max_tokens: MaxTokens | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    num_ctx: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class NewTask(BaseModel):
    """A task to submit. `deadline`: seconds after submission, not enforced. `ref`: the submitter's own id."""

    model_config = ConfigDict(extra="forbid")

    prompt: Text
    agent: Name = "chat"
    priority: Priority | None = None
    model: Name | None = None
    deadline: Seconds | None = None
    client: Name | None = None
    ref: Name | None = None
    options: TaskOptions = TaskOptions()


class NewPriority(BaseModel):
    priority: Priority


class CancelReason(BaseModel):
    reason: Annotated[str, Field(max_length=500)] | None = None


class TaskList(BaseModel):
    """`tasks`: running, queued in dispatch order, held, then ended ones, newest first.

    `more` counts live tasks left out by `limit`.
    """

    tasks: list[TaskRecord]
    more: int = 0


@router.post("", status_code=201)
async def submit(new: NewTask, request: Request, shared: Shared) -> TaskRecord:
    """Submit a task. The task is durable before the answer is sent."""
    own = {"model": await shared.model(new.model), "client": client_of(request, new.client)}
    task_id = await shared.submit(new.model_dump() | own)
    return TaskRecord.of(await shared.task(task_id))


@router.get("")
async def list_tasks(
    shared: Shared,
    *,
    state: TaskState | None = None,
    agent: Annotated[str | None, Query(max_length=200)] = None,
    client: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=0, le=MAX_LISTED, description="Most live tasks to list")] = 500,
    ended: Annotated[int, Query(ge=0, le=1000, description="Most ended tasks to list")] = 20,
) -> TaskList:
    """List live tasks and the latest ended ones."""
    live = [task for task in shared.kernel.live_tasks() if _matches(task, state, agent, client)]
    records = [TaskRecord.of(task) for task in live[:limit]]
    if ended and (state is None or state.ended):
        records += await shared.ended(ended, state, agent=agent, client=client)
    return TaskList(tasks=records, more=max(0, len(live) - limit))


def _matches(task: Task, state: TaskState | None, agent: str | None, client: str | None) -> bool:
    name = task.spec.agent
    return (
        (state is None or task.state is state)
        and (agent is None or agent in (name, name.rpartition("/")[2]))
        and (client is None or task.spec.client == client)
    )


@router.get("/{task_id}")
async def get(task_id: TaskId, shared: Shared, wait: Wait = 0) -> TaskRecord:
    """Return one task; with `wait`, once it has ended or that time is over."""
    task = await shared.task(task_id)
    if wait and not task.state.ended:
        task = await shared.end_of(task_id, wait) or await shared.task(task_id)
    return TaskRecord.of(task)


@router.post("/{task_id}/cancel")
async def cancel(task_id: TaskId, shared: Shared, given: CancelReason | None = None) -> TaskRecord:
    """Cancel a task, at the model too. The end is durable before the answer is sent. 409 when it had ended."""
    await shared.task(task_id)
    reason = one_line(given.reason) if given and given.reason else "cancelled through the API"
    if not await shared.kernel.cancel(task_id, reason):
        raise _ended_error(task_id, (await shared.task(task_id)).state)
    return TaskRecord.of(await shared.task(task_id))


@router.post("/{task_id}/priority")
async def priority(task_id: TaskId, new: NewPriority, shared: Shared) -> TaskRecord:
    """Change the priority of a queued task, or of a running one's later rounds. 409 when it has ended."""
    task = await shared.task(task_id)
    if not shared.kernel.reprioritise(task_id, new.priority):
        raise _ended_error(task_id, task.state)
    return TaskRecord.of(await shared.task(task_id))


@router.post("/{task_id}/hold")
async def hold(task_id: TaskId, shared: Shared) -> TaskRecord:
    """Hold a queued task: it is not dispatched until released. Idempotent. 409 when it has started or ended."""
    return await _if_queued(task_id, shared, shared.kernel.hold)


@router.post("/{task_id}/release")
async def release(task_id: TaskId, shared: Shared) -> TaskRecord:
    """Release a held task; it keeps its priority and arrival. Idempotent. 409 when it has started or ended."""
    return await _if_queued(task_id, shared, shared.kernel.release)


async def _if_queued(task_id: int, shared: Service, change: Callable[[int], bool]) -> TaskRecord:
    state = (await shared.task(task_id)).state
    if not change(task_id):
        if state is TaskState.RUNNING:
            raise HTTPException(409, f"task {task_id} has started; only a queued task can be held or released")
        raise _ended_error(task_id, state)
    return TaskRecord.of(await shared.task(task_id))


@router.post("/{task_id}/retry", status_code=201)
async def retry(task_id: TaskId, shared: Shared) -> TaskRecord:
    """Submit an ended task again as a new task. 409 when it has not ended."""
    task = await shared.task(task_id)
    if not task.state.ended:
        raise HTTPException(409, f"task {task_id} has not ended; cancel it first")
    return TaskRecord.of(await shared.task(await shared.kernel.retry(task_id)))


def _ended_error(task_id: int, state: TaskState) -> HTTPException:
    phrase = {TaskState.DONE: "is done", TaskState.FAILED: "has failed", TaskState.CANCELLED: "was cancelled"}
    return HTTPException(409, f"task {task_id} {phrase.get(state, 'is ending')} already")
