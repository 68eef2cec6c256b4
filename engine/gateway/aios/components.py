"""Setup, status and cleanup of the components. Ours all run from the start, so setup only notes a client's wishes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Service, client_of, service
from engine.task import Name

router = APIRouter(prefix="/core", tags=["AIOS: components"], responses=PROBLEMS)
Shared = Annotated[Service, Depends(service)]

MAX_NEW_TOKENS = 1_000_000
COMPONENTS = ("llm", "storage", "memory", "tool", "scheduler", "factory")
MaxTokens = Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)]


class LlmSetup(BaseModel):
    """`llm_name` and `max_new_tokens` count for the tasks that the client then submits; the rest is the core's own."""

    llm_name: Name
    max_gpu_memory: dict[str, Any] | None = None
    eval_device: str | None = None
    max_new_tokens: MaxTokens | None = None
    log_mode: str | None = None
    llm_backend: str | None = None
    api_key: str | None = None
    client: Name | None = None


class StorageSetup(BaseModel):
    root_dir: str | None = None
    use_vector_db: bool | None = None
    vector_db_config: dict[str, Any] | None = None


class MemorySetup(BaseModel):
    memory_limit: int | None = None
    eviction_k: int | None = None
    custom_eviction_policy: str | None = None


class ToolSetup(BaseModel):
    allowed_tools: list[str] | None = None
    custom_tools: dict[str, Any] | None = None


class RunnerSetup(BaseModel):
    """Of the scheduler and of the factory. `max_workers` starts nothing: the core's slots are the workers."""

    log_mode: str | None = None
    max_workers: int | None = None
    custom_syscalls: dict[str, Any] | None = None


class ConfigUpdate(BaseModel):
    provider: Annotated[str, Field(min_length=1, max_length=200)]
    api_key: Annotated[str, Field(min_length=1, max_length=1000)]
    name: str | None = None


class Cleanup(BaseModel):
    client: Name | None = None


class Answer(BaseModel):
    status: Literal["success"] = "success"
    message: str


@router.post("/llm/setup")
async def llm_setup(setup: LlmSetup, request: Request, shared: Shared) -> Answer:
    """Choose the model, and the longest reply, of the tasks that this client submits from now on."""
    model = await shared.model(None if setup.llm_name == "default" else setup.llm_name)
    shared.clients.set_up(client_of(request, setup.client), model=model, max_tokens=setup.max_new_tokens)
    return Answer(message="LLM core initialized")


@router.post("/storage/setup")
async def storage_setup(setup: StorageSetup) -> Answer:
    """Say yes: the history runs already, and clients do not choose folders of this machine."""
    return Answer(message="Storage manager initialized")


@router.post("/memory/setup")
async def memory_setup(setup: MemorySetup) -> Answer:
    """Say yes."""
    return Answer(message="Memory manager initialized")


@router.post("/tool/setup")
async def tool_setup(setup: ToolSetup) -> Answer:
    """Say yes."""
    return Answer(message="Tool manager initialized")


@router.post("/scheduler/setup")
async def scheduler_setup(setup: RunnerSetup) -> Answer:
    """Say yes: there is one scheduler, it runs, and no client starts a second one."""
    return Answer(message="Scheduler initialized")


@router.post("/factory/setup")
async def factory_setup(setup: RunnerSetup) -> Answer:
    """Say yes."""
    return Answer(message="Agent factory initialized")


@router.get("/status")
async def status() -> dict[str, str]:
    """Every component, active."""
    return dict.fromkeys(COMPONENTS, "active")


@router.post("/cleanup")
async def cleanup(request: Request, shared: Shared, given: Cleanup | None = None) -> Answer:
    """Forget what this client set up. Its tasks go on, and so do everyone else's."""
    shared.clients.clean_up(client_of(request, given.client if given else None))
    return Answer(message="All components cleaned up")


@router.post("/refresh")
async def refresh(shared: Shared) -> Answer:
    """Look at the cores anew: their health and models. Nothing is restarted, and nothing that runs is touched."""
    await shared.kernel.inspect()
    return Answer(message="Configuration refreshed and components reinitialized")


@router.post("/config/update")
async def config_update(update: ConfigUpdate) -> Answer:
    """Say yes, and keep nothing: no core here needs a provider's key, so none is stored."""
    return Answer(message="Configuration updated and services restarted")
