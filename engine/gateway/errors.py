"""Errors as clients get them: a status, and `{"detail": "one clear line"}`. Never a traceback."""

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
    """What went wrong, in one line."""

    detail: str


def _told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    words = {
        400: "It can't be read",
        401: "The token is missing or wrong",
        403: "Not for this name, or not from that web page",
        404: "There is no such thing",
        408: "The body did not come in time",
        409: "It can't be done now",
        413: "It is too large",
        422: "A field is wrong",
        429: "Too many requests",
        503: "The service is stopping, or can't write its history",
    }
    return {status: {"model": Problem, "description": words[status]} for status in statuses}


PROBLEMS = _told(400, 401, 403, 404, 408, 409, 413, 422, 429, 503)
"""The refusals that every route may give, for the API's description."""


def install(app: FastAPI) -> None:
    """Have the app answer errors as this module says."""

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: Exception) -> JSONResponse:
        return problem(422, _first(cast(RequestValidationError, error)))

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
        return problem(500, "an error of the service itself; its log has the details")


def problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": one_line(detail)}, status)


def _first(error: RequestValidationError) -> str:
    """What pydantic found, in the words that files and options get; without `body` in front of every field."""
    found = [dict(each) for each in error.errors()]
    for each in found:
        each["loc"] = tuple(each["loc"])[1:] if len(each["loc"]) > 1 else each["loc"]
    first = found[0]
    where = ".".join(str(part) for part in first["loc"])
    what = str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{where}: {what}{more}" if where else what
