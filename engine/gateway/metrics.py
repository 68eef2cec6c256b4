"""The route that Prometheus reads. It is there only when asked for, and under the same guard as the rest."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from engine.gateway.errors import PROBLEMS

Exposition = Callable[[str], tuple[bytes, str]]
"""From the `Accept` header to the text and its content type."""


def router(exposition: Exposition) -> APIRouter:
    """A router with `/metrics`."""
    made = APIRouter(tags=["monitoring"], responses=PROBLEMS)

    @made.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Counters, gauges and histograms of the kernel, in Prometheus' text format."""
        body, content_type = exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return made
