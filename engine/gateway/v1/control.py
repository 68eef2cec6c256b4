"""The kernel as a whole: its state, policy, pause, models and agents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Service, service
from engine.task import KernelState

router = APIRouter(prefix="/v1", tags=["v1: kernel"], responses=PROBLEMS)
Shared = Annotated[Service, Depends(service)]


class CoreState(BaseModel):
    name: str
    healthy: bool
    default_model: str | None
    models: list[str]
    detail: str = ""


class KernelModel(BaseModel):
    """`queued` and `running` count tasks that have not started, and that have."""

    state: KernelState
    policy: str
    queued: int
    running: int
    cores: list[CoreState]
    version: str


class PolicyName(BaseModel):
    """`fifo`, `npps` or `npps:ageing=SECONDS`."""

    policy: Annotated[str, Field(min_length=1, max_length=200)]


def _now(shared: Service, request: Request) -> KernelModel:
    kernel = shared.kernel
    cores = [
        CoreState(
            name=info.name,
            healthy=info.healthy,
            default_model=info.default_model,
            models=[model.name for model in info.models],
            detail=info.detail,
        )
        for info in kernel.infos
    ]
    return KernelModel(
        state=kernel.state,
        policy=kernel.policy.name,
        queued=kernel.queued_count,
        running=kernel.running_count,
        cores=cores,
        version=request.app.version,
    )


@router.get("/kernel")
async def state(shared: Shared, request: Request) -> KernelModel:
    """How the kernel stands."""
    return _now(shared, request)


@router.get("/policy")
async def policy(shared: Shared) -> PolicyName:
    """The policy by which what is ready is ordered."""
    return PolicyName(policy=shared.kernel.policy.name)


@router.put("/policy")
async def switch(new: PolicyName, shared: Shared) -> PolicyName:
    """Order what is ready by another policy, from now on. What runs is not touched."""
    shared.kernel.switch_policy(new.policy)
    return PolicyName(policy=shared.kernel.policy.name)


@router.post("/pause")
async def pause(shared: Shared, request: Request) -> KernelModel:
    """Dispatch nothing more; what executes goes on to the end of its round."""
    shared.kernel.pause()
    return _now(shared, request)


@router.post("/resume")
async def resume(shared: Shared, request: Request) -> KernelModel:
    """Dispatch again."""
    shared.kernel.resume()
    return _now(shared, request)
