"""State shared by all routes: kernel, history, clients. Turns requests into tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol

from fastapi import Depends, HTTPException, Request
from pydantic import ValidationError

from engine.agents.protocol import Agents
from engine.errors import KernelClosed, UsageError
from engine.gateway.clients import Clients
from engine.gateway.config import GatewayConfig
from engine.gateway.guard import basic_credentials
from engine.kernel import Kernel
from engine.sanitise import one_line
from engine.task import Task, TaskRecord, TaskSpec, TaskState
from engine.validation import reason
from engine.wording import nearest

MAX_ID = 2**62


class Records(Protocol):
    """The part of the history's read side that the gateway needs."""

    async def list(
        self,
        limit: int | None = ...,
        offset: int = ...,
        *,
        state: TaskState | None = ...,
        agent: str | None = ...,
        client: str | None = ...,
    ) -> Sequence[TaskRecord]:
        """Return tasks by submission, newest first. Raises StoreError."""


class Service:
    """One running gateway. `leaving` is set when it stops; waiting requests then answer at once."""

    def __init__(self, kernel: Kernel, agents: Callable[[], Agents], records: Records, config: GatewayConfig) -> None:
        self.kernel = kernel
        self.records = records
        self.config = config
        self.clients = Clients()
        self.leaving = asyncio.Event()
        self._agents = agents

    @property
    def agents(self) -> Agents:
        return self._agents()

    # -- models --------------------------------------------------------------------------------------------------------

    async def model(self, name: str | None) -> str | None:
        """Return the model that serves `name` or its alias. 404 when all cores list their models and none has it."""
        if name is None:
            return None
        wanted = self.config.aliases.get(name, name)
        if self._has(wanted):
            return wanted
        await self.kernel.inspect()
        if self._has(wanted):
            return wanted
        known = sorted(self.models())
        near = nearest(wanted, known) or known[:10]
        shown = one_line(wanted, 80)
        raise HTTPException(
            404,
            f"unknown model {shown!r}: there is {', '.join(near)}; the service can be started with "
            f"--alias {shown}={near[0]}",
        )

    def models(self) -> list[str]:
        """Return the names of all models of all cores, each once."""
        return list(dict.fromkeys(model.name for info in self.kernel.infos for model in info.models))

    def _has(self, name: str) -> bool:
        known = self.models()
        unsure = not known or not all(info.healthy and info.models for info in self.kernel.infos)
        return unsure or name in known or f"{name}:latest" in known

    # -- tasks ---------------------------------------------------------------------------------------------------------

    async def submit(self, values: dict[str, Any]) -> int:
        """Submit a task and return its id; None is a value's default. 404 for an unknown agent, 422 for a bad field."""
        try:
            spec = TaskSpec.model_validate({name: value for name, value in values.items() if value is not None})
        except ValidationError as error:
            raise HTTPException(422, reason(error)) from None
        try:
            return await self.kernel.submit(spec)
        except UsageError as error:
            raise HTTPException(404, str(error)) from None

    async def task(self, task_id: int, noun: str = "task") -> Task:
        """Return a task, live or ended. 404 when there is none; the message calls it `noun`."""
        found = await self.kernel.find(task_id) if 0 < task_id <= MAX_ID else None
        if found is None:
            raise HTTPException(404, f"there is no {noun} {one_line(str(task_id), 40)}")
        return found

    async def ended(
        self, count: int, state: TaskState | None = None, *, agent: str | None = None, client: str | None = None
    ) -> list[TaskRecord]:
        """Return the newest `count` ended tasks over all end states, or of one `state`."""
        found: list[TaskRecord] = []
        for each in [state] if state else [each for each in TaskState if each.ended]:
            found += await self.records.list(limit=count, state=each, agent=agent, client=client)
        return sorted(found, key=lambda record: record.id, reverse=True)[:count]

    async def end_of(self, task_id: int, wait_s: float | None) -> Task | None:
        """Wait for the end of a task. None when `wait_s` passes first (None: no limit), or the gateway stops."""
        waiter = asyncio.ensure_future(self.kernel.wait(task_id))
        leaving = asyncio.ensure_future(self.leaving.wait())
        try:
            await asyncio.wait({waiter, leaving}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            return waiter.result() if waiter.done() else None
        except KernelClosed:
            return None
        except KeyError:
            raise HTTPException(404, f"there is no task {task_id}") from None
        finally:
            waiter.cancel()
            leaving.cancel()


async def service(request: Request) -> Service:
    """Return the request's gateway, for `Depends`. Async, because FastAPI runs sync dependencies in a thread."""
    found: Service = request.app.state.service
    return found


Shared = Annotated[Service, Depends(service)]


def client_of(request: Request, named: str | None = None) -> str:
    """Return the client's name: the request's field, the header `X-Client`, the user in `http://USER:…@host` (for
    clients without another way), or program and address."""
    given = named or request.headers.get("x-client") or basic_credentials(request.headers.get("authorization", ""))[0]
    if given and given.strip():
        return one_line(given, 100)
    program = one_line(request.headers.get("user-agent", "http").partition("/")[0], 60) or "http"
    return f"{program} {request.client.host}" if request.client else program
