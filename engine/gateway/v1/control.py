"""Routes of the kernel as a whole: state, policy, pause, resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Service, Shared
from engine.task import KernelState

router = APIRouter(prefix="/v1", tags=["v1: kernel"], responses=PROBLEMS)


class CoreStatus(BaseModel):
    name: str
    healthy: bool
    default_model: str | None
    models: list[str]
    detail: str = ""


class KernelStatus(BaseModel):
    """`queued` counts tasks that have not started, `running` those that have."""

    state: KernelState
    policy: str
    queued: int
    running: int
    cores: list[CoreStatus]
    version: str


class PolicyName(BaseModel):
    """`fifo`, `npps` or `npps:ageing=SECONDS`."""

    policy: Annotated[str, Field(min_length=1, max_length=200)]


def _status(shared: Service, request: Request) -> KernelStatus:
    kernel = shared.kernel
    cores = [
        CoreStatus(
            name=info.name,
            healthy=info.healthy,
            default_model=info.default_model,
            models=[model.name for model in info.models],
            detail=info.detail,
        )
        for info in kernel.infos
    ]
    return KernelStatus(
        state=kernel.state,
        policy=kernel.policy.name,
        queued=kernel.queued_count,
        running=kernel.running_count,
        cores=cores,
        version=request.app.version,
    )


@router.get("/kernel")
async def state(shared: Shared, request: Request) -> KernelStatus:
    """Return the kernel's state, counts and cores."""
    return _status(shared, request)


@router.get("/policy")
async def policy(shared: Shared) -> PolicyName:
    """Return the policy that orders the queue."""
    return PolicyName(policy=shared.kernel.policy.name)


@router.put("/policy")
async def switch(new: PolicyName, shared: Shared) -> PolicyName:
    """Switch the policy: the queue is reordered at once, running attempts continue."""
    shared.kernel.switch_policy(new.policy)
    return PolicyName(policy=shared.kernel.policy.name)


@router.post("/pause")
async def pause(shared: Shared, request: Request) -> KernelStatus:
    """Stop dispatching; running attempts finish their round."""
    shared.kernel.pause()
    return _status(shared, request)


@router.post("/resume")
async def resume(shared: Shared, request: Request) -> KernelStatus:
    """Resume dispatching."""
    shared.kernel.resume()
    return _status(shared, request)
