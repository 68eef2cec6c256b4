"""List models and let a client choose among them: the newer AIOS routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Shared, client_of
from engine.task import Name

router = APIRouter(tags=["AIOS: models"], responses=PROBLEMS)


class LlmChoice(BaseModel):
    """A model as AIOS clients name it. `provider` and `backend` are kept but have no effect."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    provider: Annotated[str, Field(max_length=200)] | None = None
    backend: Annotated[str, Field(max_length=200)] | None = None


class LlmEntry(BaseModel):
    name: str
    backend: str
    provider: str
    loaded: bool
    served_by: str | None = None


class LlmList(BaseModel):
    status: Literal["success"] = "success"
    llms: list[LlmEntry]


class StatusMessage(BaseModel):
    status: Literal["success", "warning", "ok"]
    message: str


class SelectedLlms(StatusMessage):
    llms: list[dict[str, Any]]


@router.get("/status")
async def status(shared: Shared) -> StatusMessage:
    """Report that the service runs, and which cores are unhealthy."""
    unhealthy = [f"{info.name}: {info.detail or 'not healthy'}" for info in shared.kernel.infos if not info.healthy]
    if unhealthy:
        return StatusMessage(status="warning", message=f"Server is running, but {'; '.join(unhealthy)}")
    return StatusMessage(status="ok", message="All core components are active.")


@router.get("/core/llms/list")
async def llms(shared: Shared) -> LlmList:
    """List the models of all cores, and the aliases with the model that serves each."""
    await shared.kernel.inspect()
    found = [
        LlmEntry(name=model.name, backend=info.name, provider=info.name, loaded=model.loaded)
        for info in shared.kernel.infos
        for model in info.models
    ]
    by_name = {entry.name: entry for entry in found}
    for alias, target in shared.config.aliases.items():
        entry = by_name.get(target)
        if entry is not None:
            found.append(entry.model_copy(update={"name": alias, "served_by": target}))
    return LlmList(llms=found)


@router.post("/user/select/llms")
async def select(
    choices: Annotated[list[LlmChoice], Field(max_length=100)], request: Request, shared: Shared
) -> StatusMessage:
    """Choose the models of this client's tasks; the first one is used. An empty list clears the choice."""
    for choice in choices:
        await shared.model(choice.name)
    chosen = [choice.model_dump(exclude_none=True) for choice in choices]
    shared.clients.select(client_of(request), chosen)
    if not chosen:
        return StatusMessage(status="warning", message="No LLM selected")
    return StatusMessage(status="success", message=f"LLMs {chosen} selected")


@router.get("/user/selected/llms")
async def selected(request: Request, shared: Shared) -> SelectedLlms:
    """Return this client's choice."""
    chosen = shared.clients.get(client_of(request)).selected
    if not chosen:
        return SelectedLlms(status="warning", message="No LLM selected", llms=[])
    return SelectedLlms(status="success", message=f"LLM {chosen} selected", llms=chosen)
