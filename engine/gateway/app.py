"""Build the application: all routes over one service, for `engine.gateway.server` to serve."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware

from engine.agents.protocol import Agents
from engine.gateway import docs_page, errors
from engine.gateway.aios import agents as aios_agents
from engine.gateway.aios import components, llms, query
from engine.gateway.config import GatewayConfig
from engine.gateway.service import Records, Service
from engine.gateway.v1 import control, events, tasks
from engine.kernel import Kernel

DESCRIPTION = """
The kernel of aios-tui. Routes without a version are those of AIOS, for its clients; `/v1` is our own API.
Every error is `{"detail": "one clear line"}`.
"""

Exposition = Callable[[str], tuple[bytes, str]]
"""Maps the `Accept` header to Prometheus' text and its content type."""


def make_app(
    kernel: Kernel,
    agents: Callable[[], Agents],
    records: Records,
    config: GatewayConfig,
    *,
    version: str = "0",
    exposition: Exposition | None = None,
) -> FastAPI:
    """Return the application; its `state.service` is the `Service` behind it.

    `agents` returns the present catalogue. `exposition` adds the route `/metrics`.
    """
    app = FastAPI(title="aios-tui", version=version, description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.service = Service(kernel, agents, records, config)
    for part in (components, aios_agents, llms, query, tasks, control, events):
        app.include_router(part.router)
    if exposition is not None:
        _add_metrics(app, exposition)
    docs_page.add(app)
    errors.install(app)
    if config.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-client"],
        )
    return app


def _add_metrics(app: FastAPI, exposition: Exposition) -> None:
    @app.get("/metrics", tags=["monitoring"], response_class=Response, responses=errors.PROBLEMS)
    async def metrics(request: Request) -> Response:
        """Return the kernel's counters, gauges and histograms in Prometheus' text format."""
        body, content_type = exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})
