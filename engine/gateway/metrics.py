"""The route that Prometheus scrapes, behind the same guard as all others. It exists only when enabled."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from engine.gateway.errors import PROBLEMS

Exposition = Callable[[str], tuple[bytes, str]]
"""Maps the `Accept` header to the text and its content type."""


def router(exposition: Exposition) -> APIRouter:
    """Return a router with `/metrics`."""
    made = APIRouter(tags=["monitoring"], responses=PROBLEMS)

    @made.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return the kernel's counters, gauges and histograms in Prometheus' text format."""
        body, content_type = exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return made
