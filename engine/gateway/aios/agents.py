"""Agents: submit one, wait for its end, see them all. An execution is a task of the kernel, and its id the task's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from engine.gateway.aios.components import MaxTokens
from engine.gateway.errors import PROBLEMS, Problem
from engine.gateway.service import MAX_ID, Service, client_of, service
from engine.task import Name, Priority, Task, TaskRecord, TaskState, Text

router = APIRouter(prefix="/agents", tags=["AIOS: agents"], responses=PROBLEMS)
Shared = Annotated[Service, Depends(service)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, le=1e9)]

MAX_LISTED = 1000
CANCELLED, FAILED = 410, 424
"""The statuses that tell a client its execution will never complete: as an error, so that none polls for ever."""


class AgentConfig(BaseModel):
    """`task` is the prompt. What else a client puts here is for agents that run on its own side, and is left alone."""

    model_config = ConfigDict(extra="allow")

    task: Text


class AgentSubmission(BaseModel):
    """`priority`, `deadline` (seconds), `client`, `model` and `max_new_tokens` are ours, and optional."""

    agent_id: Name
    agent_config: AgentConfig
    priority: Priority | None = None
    deadline: Seconds | None = None
    client: Name | None = None
    model: Name | None = None
    max_new_tokens: MaxTokens | None = None


class Submitted(BaseModel):
    status: Literal["success"] = "success"
    execution_id: int
    message: str


class ExecutionResult(BaseModel):
    agent_name: str
    result: str
    rounds: int


class Completed(BaseModel):
    status: Literal["completed"] = "completed"
    result: ExecutionResult
    execution_id: int


class Running(BaseModel):
    status: Literal["running"] = "running"
    message: Literal["Execution in progress"] = "Execution in progress"
    execution_id: int


class Broken(Problem):
    """An execution that ended without a result."""

    status: Literal["failed", "cancelled"]
    execution_id: int


class Process(BaseModel):
    agent_id: str
    execution_id: int
    status: str
    start_time: str
    end_time: str | None = None
    task: str
    config: dict[str, Any]
    result: str | None = None


class Processes(BaseModel):
    status: Literal["success"] = "success"
    processes: list[Process]


@router.post("/submit")
async def submit(given: AgentSubmission, request: Request, shared: Shared) -> Submitted:
    """Submit a task for an agent. It is durable when this answers."""
    name = client_of(request, given.client)
    own = shared.clients.get(name)
    task_id = await shared.submit(
        {
            "agent": given.agent_id,
            "prompt": given.agent_config.task,
            "model": await shared.model(given.model) or own.model,
            "client": name,
            "deadline": given.deadline,
            "options": {"max_tokens": given.max_new_tokens or own.max_tokens},
        }
        | ({} if given.priority is None else {"priority": given.priority})
    )
    return Submitted(execution_id=task_id, message=f"Agent {given.agent_id} submitted for execution")


_ENDS: dict[int | str, dict[str, Any]] = {
    CANCELLED: {"model": Broken, "description": "The execution was cancelled"},
    FAILED: {"model": Broken, "description": "The execution failed"},
}


@router.get("/{execution_id}/status", response_model=Completed | Running | Broken, responses=_ENDS)
async def status(
    execution_id: Annotated[int, Path(ge=0, le=MAX_ID)],
    shared: Shared,
    wait: Annotated[float | None, Query(ge=0, le=3600, description="Seconds to wait at most")] = None,
) -> Response:
    """Wait for the end of an execution; answer `running` if it has not come in time.

    While it waits, blanks are sent before the JSON, so that no time-out for a silent line cuts it. The status line is
    then out already: an execution that fails after that says so in the body, and with its status from then on.
    """
    await shared.task(execution_id)
    limit = shared.config.wait_s if wait is None else wait
    ended = await shared.end_of(execution_id, min(limit, shared.config.beat_s))
    if ended is not None or limit <= shared.config.beat_s or shared.leaving.is_set():
        return _answer(execution_id, ended)
    return StreamingResponse(_beats(shared, execution_id, limit), media_type="application/json")


async def _beats(shared: Service, execution_id: int, limit: float) -> AsyncIterator[bytes]:
    """Blanks while the execution runs, then the answer."""
    until = asyncio.get_running_loop().time() + limit - shared.config.beat_s
    ended: Task | None = None
    while ended is None and not shared.leaving.is_set():
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            break
        yield b" "
        ended = await shared.end_of(execution_id, min(left, shared.config.beat_s))
    yield bytes(_answer(execution_id, ended).body)


def _answer(execution_id: int, ended: Task | None) -> Response:
    if ended is None:
        return JSONResponse(Running(execution_id=execution_id).model_dump())
    if ended.state is TaskState.DONE:
        result = ExecutionResult(agent_name=ended.spec.agent, result=ended.result or "", rounds=ended.rounds)
        return JSONResponse(Completed(result=result, execution_id=execution_id).model_dump())
    cancelled = ended.state is TaskState.CANCELLED
    why = ended.error or ended.state.value
    broken = Broken(
        status="cancelled" if cancelled else "failed",
        execution_id=execution_id,
        detail=why if cancelled else f"the execution failed: {why}",
    )
    return JSONResponse(broken.model_dump(), CANCELLED if cancelled else FAILED)


@router.get("/ps")
async def processes(
    shared: Shared, limit: Annotated[int, Query(ge=0, le=1000, description="Ended ones to list")] = 100
) -> Processes:
    """The executions that have not ended (the first 1,000 of them), and the latest that have; by execution id."""
    live = [TaskRecord.of(task) for task in shared.kernel.live_tasks(MAX_LISTED)]
    ended: list[TaskRecord] = []
    for state in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED):
        ended += await shared.records.list(limit=limit, state=state)
    latest = sorted(ended, key=lambda record: record.id, reverse=True)[:limit]
    known = {record.id for record in live}
    found = sorted([*live, *(each for each in latest if each.id not in known)], key=lambda record: record.id)
    return Processes(processes=[_process(record) for record in found])


def _process(record: TaskRecord) -> Process:
    words = {TaskState.DONE: "completed"}
    return Process(
        agent_id=record.agent_name,
        execution_id=record.id,
        status=words.get(record.state, record.state.value),
        start_time=_moment(record.submitted_at),
        end_time=None if record.ended_at is None else _moment(record.ended_at),
        task=record.prompt,
        config={"task": record.prompt, "priority": record.priority, "client": record.client, "model": record.model},
        result=record.result,
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
