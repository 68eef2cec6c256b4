"""Turn errors into responses: a status, and `{"detail": "one clear line"}`. Never a traceback."""

from __future__ import annotations

import logging
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from engine.errors import AiosError, KernelClosed, StoreError, UsageError
from engine.sanitise import one_line

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """An error, in one line."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "The request can't be parsed",
        401: "The token is missing or wrong",
        403: "The host name or the web page's origin is not allowed",
        404: "Not found",
        408: "The body did not come in time",
        409: "Not possible in the present state",
        413: "The request is too large",
        422: "A field is invalid",
        429: "Too many requests",
        503: "The service is stopping, or can't write its history",
    }.items()
}
"""The errors that every route may return, for the API's description."""


def install(app: FastAPI) -> None:
    """Register the error handlers."""

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: Exception) -> JSONResponse:
        return problem(422, _reason(cast(RequestValidationError, error)))

    @app.exception_handler(AiosError)
    async def _(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, UsageError):
            return problem(422, str(error))
        status = 503 if isinstance(error, KernelClosed | StoreError) else 500
        log.warning("%s %s: %s", request.method, one_line(request.url.path, 100), one_line(str(error)))
        return problem(status, str(error))

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, one_line(request.url.path, 100), exc_info=error)
        return problem(500, "internal error of the service; its log has the details")


def problem(status: int, detail: str) -> JSONResponse:
    """Return an error response with one line of detail."""
    return JSONResponse({"detail": one_line(detail)}, status)


def _reason(error: RequestValidationError) -> str:
    """Word the first error as for files and options, without `body` in front of the field."""
    found = error.errors()
    first = found[0]
    loc = first["loc"][1:] if len(first["loc"]) > 1 else first["loc"]
    where = ".".join(str(part) for part in loc)
    message = str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{where}: {message}{more}" if where else message
