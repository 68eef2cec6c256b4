"""What all routes share: the kernel, the history's read side, the clients, and how requests become tasks."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fastapi import HTTPException, Request
from pydantic import ValidationError

from engine.agents.protocol import Agents
from engine.errors import KernelClosed, UsageError
from engine.gateway.clients import Clients
from engine.gateway.config import GatewayConfig
from engine.gateway.guard import basic
from engine.kernel import Kernel
from engine.sanitise import one_line
from engine.task import Task, TaskRecord, TaskSpec, TaskState
from engine.validation import reason

MAX_ID = 2**62


class Records(Protocol):
    """The read side of the history, as far as the gateway needs it."""

    async def list(
        self,
        limit: int | None = ...,
        offset: int = ...,
        *,
        state: TaskState | None = ...,
        agent: str | None = ...,
        client: str | None = ...,
    ) -> Sequence[TaskRecord]:
        """Tasks by submission, newest first. Raises StoreError."""


class Service:
    """One running gateway. `leaving` is set when it stops: whoever waits then answers at once."""

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
        """The model that serves `name`, by the aliases. 404 when no core has it, where cores tell what they have."""
        if name is None:
            return None
        wanted = self.config.aliases.get(name, name)
        if self._has(wanted):
            return wanted
        await self.kernel.inspect()
        if self._has(wanted):
            return wanted
        known = sorted(self.models())
        near = difflib.get_close_matches(wanted[:200], known, n=3, cutoff=0.5) or known[:10]
        shown = one_line(wanted, 80)
        raise HTTPException(
            404,
            f"unknown model {shown!r}: there is {', '.join(near)}; the service can be started with "
            f"--alias {shown}={near[0]}",
        )

    def models(self) -> list[str]:
        """The names of all models of all cores, each once."""
        return list(dict.fromkeys(model.name for info in self.kernel.infos for model in info.models))

    def _has(self, name: str) -> bool:
        infos = self.kernel.infos
        known = set(self.models())
        unsure = not known or not all(info.healthy and info.models for info in infos)
        return unsure or name in known or f"{name}:latest" in known

    # -- tasks ---------------------------------------------------------------------------------------------------------

    async def submit(self, values: dict[str, Any]) -> int:
        """Have a task accepted; its id. 404 for an unknown agent, 422 for a bad field."""
        try:
            spec = TaskSpec.model_validate(values)
        except ValidationError as error:
            raise HTTPException(422, reason(error)) from None
        try:
            return await self.kernel.submit(spec)
        except UsageError as error:
            raise HTTPException(404, str(error)) from None

    async def task(self, task_id: int) -> Task:
        """A task, live or ended. 404 when there is none."""
        found = await self.kernel.find(task_id) if 0 < task_id <= MAX_ID else None
        if found is None:
            raise HTTPException(404, f"there is no task {one_line(str(task_id), 40)}")
        return found

    async def end_of(self, task_id: int, wait_s: float | None) -> Task | None:
        """The ended task; None when it has not ended within `wait_s` (None: however long), or the gateway stops."""
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
    """The gateway that a request came to; for `Depends`. Async, or FastAPI would take it to a thread each time."""
    found: Service = request.app.state.service
    return found


def client_of(request: Request, named: str | None = None) -> str:
    """Who asks: the name that the request gives, the header `X-Client`, the user in `http://USER:…@host` (which clients
    that know no other way can use), or its program and address."""
    given = named or request.headers.get("x-client") or basic(request.headers.get("authorization", ""))[0]
    if given and given.strip():
        return one_line(given, 100)
    program = one_line(request.headers.get("user-agent", "http").partition("/")[0], 60) or "http"
    return f"{program} {request.client.host}" if request.client else program
