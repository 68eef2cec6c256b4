"""Submit agents, wait for their end, list them. An AIOS execution is a kernel task with the same id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from engine.gateway.aios.components import MaxTokens
from engine.gateway.errors import PROBLEMS, Problem
from engine.gateway.service import MAX_ID, Service, Shared, client_of
from engine.task import Name, Priority, Task, TaskRecord, TaskState, Text

router = APIRouter(prefix="/agents", tags=["AIOS: agents"], responses=PROBLEMS)
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, le=1e9)]

MAX_LISTED = 1000
CANCELLED, FAILED = 410, 424
"""Statuses of executions that will never complete. They are errors, so that no client polls for ever."""


class AgentConfig(BaseModel):
    """`task` is the prompt. Other keys are for agents that run at the client, and are ignored."""

    model_config = ConfigDict(extra="allow")

    task: Text


class AgentSubmission(BaseModel):
    """`priority`, `deadline` (seconds; not enforced), `client`, `model` and `max_new_tokens` are our own, optional."""

    agent_id: Name
    agent_config: AgentConfig
    priority: Priority | None = None
    deadline: Seconds | None = None
    client: Name | None = None
    model: Name | None = None
    max_new_tokens: MaxTokens | None = None


class AcceptedExecution(BaseModel):
    status: Literal["success"] = "success"
    execution_id: int
    message: str


class ExecutionResult(BaseModel):
    agent_name: str
    result: str
    rounds: int


class CompletedExecution(BaseModel):
    status: Literal["completed"] = "completed"
    result: ExecutionResult
    execution_id: int


class RunningExecution(BaseModel):
    status: Literal["running"] = "running"
    message: Literal["Execution in progress"] = "Execution in progress"
    execution_id: int


class FailedExecution(Problem):
    """An execution that ended without a result."""

    status: Literal["failed", "cancelled"]
    execution_id: int


Execution = CompletedExecution | RunningExecution | FailedExecution


class Process(BaseModel):
    agent_id: str
    execution_id: int
    status: str
    start_time: str
    end_time: str | None = None
    task: str
    config: dict[str, Any]
    result: str | None = None


class ProcessList(BaseModel):
    status: Literal["success"] = "success"
    processes: list[Process]


@router.post("/submit")
async def submit(given: AgentSubmission, request: Request, shared: Shared) -> AcceptedExecution:
    """Submit a task for an agent. The task is durable before the answer is sent."""
    name = client_of(request, given.client)
    own = shared.clients.get(name)
    task_id = await shared.submit(
        {
            "agent": given.agent_id,
            "prompt": given.agent_config.task,
            "model": await shared.model(given.model) or own.model,
            "client": name,
            "priority": given.priority,
            "deadline": given.deadline,
            "options": {"max_tokens": given.max_new_tokens or own.max_tokens},
        }
    )
    return AcceptedExecution(execution_id=task_id, message=f"Agent {given.agent_id} submitted for execution")


_END_RESPONSES: dict[int | str, dict[str, Any]] = {
    CANCELLED: {"model": FailedExecution, "description": "The execution was cancelled"},
    FAILED: {"model": FailedExecution, "description": "The execution failed"},
}


@router.get("/{execution_id}/status", response_model=Execution, responses=_END_RESPONSES)
async def status(
    execution_id: Annotated[int, Path(ge=0, le=MAX_ID)],
    shared: Shared,
    wait: Annotated[float | None, Query(ge=0, le=3600, description="Seconds to wait at most")] = None,
) -> Response:
    """Wait for the end of an execution; answer `running` when the wait ends first.

    During the wait, blanks are sent before the JSON, so that no idle time-out closes the connection. The status line is
    sent with the first blank: an execution that fails later says so in the body, and by status in later requests.
    """
    await shared.task(execution_id, "execution")
    limit = shared.config.wait_s if wait is None else wait
    ended = await shared.end_of(execution_id, min(limit, shared.config.beat_s))
    if ended is not None or limit <= shared.config.beat_s or shared.leaving.is_set():
        return _answer(execution_id, ended)
    return StreamingResponse(_beats(shared, execution_id, limit), media_type="application/json")


async def _beats(shared: Service, execution_id: int, limit: float) -> AsyncIterator[bytes]:
    """Yield blanks while the execution runs, then the answer."""
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
        return JSONResponse(RunningExecution(execution_id=execution_id).model_dump())
    if ended.state is TaskState.DONE:
        result = ExecutionResult(agent_name=ended.spec.agent, result=ended.result or "", rounds=ended.rounds)
        return JSONResponse(CompletedExecution(result=result, execution_id=execution_id).model_dump())
    cancelled = ended.state is TaskState.CANCELLED
    reason = ended.error or ended.state.value
    failed = FailedExecution(
        status="cancelled" if cancelled else "failed",
        execution_id=execution_id,
        detail=reason if cancelled else f"the execution failed: {reason}",
    )
    return JSONResponse(failed.model_dump(), CANCELLED if cancelled else FAILED)


@router.get("/ps")
async def processes(
    shared: Shared, limit: Annotated[int, Query(ge=0, le=1000, description="Most ended executions to list")] = 100
) -> ProcessList:
    """List live executions (the first 1,000) and the latest ended ones, by execution id."""
    live = [TaskRecord.of(task) for task in shared.kernel.live_tasks(MAX_LISTED)]
    known = {record.id for record in live}
    ended = [record for record in await shared.ended(limit) if record.id not in known]
    found = sorted([*live, *ended], key=lambda record: record.id)
    return ProcessList(processes=[_process(record) for record in found])


def _process(record: TaskRecord) -> Process:
    return Process(
        agent_id=record.agent_name,
        execution_id=record.id,
        status="completed" if record.state is TaskState.DONE else record.state.value,
        start_time=_iso_time(record.submitted_at),
        end_time=None if record.ended_at is None else _iso_time(record.ended_at),
        task=record.prompt,
        config={"task": record.prompt, "priority": record.priority, "client": record.client, "model": record.model},
        result=record.result,
    )


def _iso_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
