"""AIOS setup, status and cleanup of components. All of ours run from the start; setup only stores client choices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Shared, client_of
from engine.task import Name

router = APIRouter(prefix="/core", tags=["AIOS: components"], responses=PROBLEMS)

MAX_NEW_TOKENS = 1_000_000
COMPONENTS = ("llm", "storage", "memory", "tool", "scheduler", "factory")
MaxTokens = Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)]


class LlmSetup(BaseModel):
    """`llm_name` and `max_new_tokens` apply to the client's later tasks; the other fields are ignored."""

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
    """For scheduler and factory. `max_workers` starts nothing: the core's slots are the workers."""

    log_mode: str | None = None
    max_workers: int | None = None
    custom_syscalls: dict[str, Any] | None = None


class ConfigUpdate(BaseModel):
    provider: Annotated[str, Field(min_length=1, max_length=200)]
    api_key: Annotated[str, Field(min_length=1, max_length=1000)]
    name: str | None = None


class Cleanup(BaseModel):
    client: Name | None = None


class Acknowledgement(BaseModel):
    status: Literal["success"] = "success"
    message: str


@router.post("/llm/setup")
async def llm_setup(setup: LlmSetup, request: Request, shared: Shared) -> Acknowledgement:
    """Set the model and the longest reply of this client's later tasks."""
    model = await shared.model(None if setup.llm_name == "default" else setup.llm_name)
    shared.clients.set_up(client_of(request, setup.client), model=model, max_tokens=setup.max_new_tokens)
    return Acknowledgement(message="LLM core initialized")


@router.post("/storage/setup")
async def storage_setup(setup: StorageSetup) -> Acknowledgement:
    """Acknowledge without effect: the history runs already, and clients do not choose folders of this machine."""
    return Acknowledgement(message="Storage manager initialized")


@router.post("/memory/setup")
async def memory_setup(setup: MemorySetup) -> Acknowledgement:
    """Acknowledge without effect."""
    return Acknowledgement(message="Memory manager initialized")


@router.post("/tool/setup")
async def tool_setup(setup: ToolSetup) -> Acknowledgement:
    """Acknowledge without effect."""
    return Acknowledgement(message="Tool manager initialized")


@router.post("/scheduler/setup")
async def scheduler_setup(setup: RunnerSetup) -> Acknowledgement:
    """Acknowledge without effect: the one scheduler runs already."""
    return Acknowledgement(message="Scheduler initialized")


@router.post("/factory/setup")
async def factory_setup(setup: RunnerSetup) -> Acknowledgement:
    """Acknowledge without effect."""
    return Acknowledgement(message="Agent factory initialized")


@router.get("/status")
async def status() -> dict[str, str]:
    """Report every component as active."""
    return dict.fromkeys(COMPONENTS, "active")


@router.post("/cleanup")
async def cleanup(request: Request, shared: Shared, given: Cleanup | None = None) -> Acknowledgement:
    """Forget what this client set up. All tasks continue."""
    shared.clients.clean_up(client_of(request, given.client if given else None))
    return Acknowledgement(message="All components cleaned up")


@router.post("/refresh")
async def refresh(shared: Shared) -> Acknowledgement:
    """Inspect the health and models of all cores. Nothing is restarted; running tasks continue."""
    await shared.kernel.inspect()
    return Acknowledgement(message="Configuration refreshed and components reinitialized")


@router.post("/config/update")
async def config_update(update: ConfigUpdate) -> Acknowledgement:
    """Acknowledge and store nothing: no core here needs a provider's key."""
    return Acknowledgement(message="Configuration updated and services restarted")
