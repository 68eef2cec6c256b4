"""Errors of an OpenAI-compatible server as outcomes, in one line each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.cores.http import StatusError, WireError, connection_fault, error_text
from engine.cores.openai.records import MidstreamError
from engine.cores.port import Fault, FaultKind, Rejected
from engine.sanitise import one_line

LONGEST_REST_S = 60.0
DEFAULT_REST_S = 5.0

_NO_MEMORY = re.compile(r"out of memory|(more|enough|insufficient) (system )?(memory|resources)", re.IGNORECASE)
_BAD_KEY = re.compile(
    r"api[ _]key (is )?(not valid|invalid)|(invalid|incorrect) api[ _]key|api_key_invalid"
    r"|no_db_connection",  # LiteLLM without a database, of any key but its master key
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"insufficient_quota|insufficient balance|exceeded your current quota|credit", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model_not_found|\bmodels?\b.{0,200}(not|n't).{0,20}(exist|found)|unknown model", re.IGNORECASE | re.DOTALL
)
_NO_ROUTE = re.compile(r"unexpected endpoint", re.IGNORECASE)  # LM Studio says so with status 200
_TOO_LARGE = re.compile(r"request too large|context[ _]length", re.IGNORECASE)
_BUSY = re.compile(r"rate.?limit|overloaded|too many requests|unavailable|insufficient_system_resource", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerName:
    """A server in messages. `who`: `Groq at https://…`. key_env: the variable with its key, empty if there is none."""

    who: str
    key_env: str = ""

    @property
    def set_key(self) -> str:
        return f"set {self.key_env}" if self.key_env else "name one with key_env in its table [cores.NAME]"


def outcome_of(error: Exception, server: ServerName, *, started: bool) -> Fault | Rejected:
    """Return the outcome that `error` means. `started`: part of the answer had come."""
    who = server.who
    outcome: Fault | Rejected
    match error:
        case StatusError():
            outcome = _status(error, server)
        case WireError(foreign=True):
            outcome = _foreign(who, str(error))
        case MidstreamError():
            outcome = _midstream(error.error, server)
        case _:
            outcome = connection_fault(error, who, started=started)
    return outcome


def rest_of(error: StatusError) -> float:
    """Return the pause that the server asks for, in seconds: `Retry-After` as a number or a date, 0 to 60."""
    value = error.retry_after.strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return DEFAULT_REST_S
    return min(max(seconds, 0.0), LONGEST_REST_S) if seconds == seconds else DEFAULT_REST_S  # noqa: PLR0124  (NaN)


def _status(error: StatusError, server: ServerName) -> Fault | Rejected:
    status, message = error.status, _message(error)
    everything = f"{message} {error.body}"
    if 300 <= status < 400:
        return _foreign(server.who, f"it redirects to {error.message}")
    if (known := _known(status, message, everything, server)) is not None:
        return known
    outcome: Fault | Rejected
    if status == 429:
        outcome = Rejected(f"{server.who} is busy (HTTP 429): {message}")
    elif status in (503, 529):
        outcome = Fault(FaultKind.BUSY, f"{server.who} is busy (HTTP {status}): {message}", True)
    elif status >= 500 or status == 408:
        outcome = Fault(FaultKind.SERVER, f"{server.who} failed (HTTP {status}): {message}", True)
    elif status in (404, 405) or not (error.ours or error.body):
        outcome = _foreign(server.who, f"HTTP {status}")
    else:
        outcome = Fault(FaultKind.BAD_REQUEST, f"{server.who} refused the request (HTTP {status}): {message}", False)
    return outcome


def _known(status: int, message: str, everything: str, server: ServerName) -> Fault | None:
    """Return the fault of an error whose text decides: servers do not agree on the status."""
    who, client = server.who, 400 <= status < 500
    kind, reason = FaultKind.REFUSED, ""
    if status == 402 or (status in (403, 429) and _NO_CREDIT.search(everything)):
        reason = f"{who} has no credit left for this key: {message}"
    elif status == 401 or (client and _BAD_KEY.search(everything)):
        reason = f"{who} refuses the key; {server.set_key}: {message}"
    elif status == 403:
        reason = f"{who} does not allow this; another key may ({server.set_key}): {message}"
    elif _NO_MEMORY.search(message):
        kind, reason = FaultKind.NO_MEMORY, f"{who} has too little memory for this: {message}"
    elif client and _TOO_LARGE.search(everything):
        kind, reason = FaultKind.BAD_REQUEST, f"{who} refused the request (HTTP {status}): {message}"
    elif status in (400, 404, 422) and _NO_MODEL.search(everything):
        kind, reason = FaultKind.NO_MODEL, message
    return Fault(kind, reason, False) if reason else None


def _midstream(error: Any, server: ServerName) -> Fault:
    message = error_text(error)
    code = str(error.get("code")) if isinstance(error, dict) else ""
    status = int(code) if re.fullmatch(r"[45]\d\d", code) else 500
    everything = f"{message} {error}"
    if _NO_ROUTE.search(message):
        return _foreign(server.who, message)
    if (known := _known(status, message, everything, server)) is not None:
        return known
    if status in (429, 503, 529) or _BUSY.search(everything):
        return Fault(FaultKind.BUSY, f"{server.who} is busy: {message}", True)
    return Fault(FaultKind.SERVER, f"{server.who} stopped: {message}", True)


def _message(error: StatusError) -> str:
    """Return the server's message; old vLLM puts it at the top level, FastAPI under `detail`."""
    body = error.body
    if not error.ours and isinstance(body, dict):
        for name in ("message", "detail"):
            if isinstance(body.get(name), str):
                return one_line(body[name], 300)
    return one_line(error.message, 300) or "no reason given"


def _foreign(who: str, why: str) -> Fault:
    reason = f"{who} does not speak OpenAI's protocol there ({why}); check its address, which often ends in /v1"
    return Fault(FaultKind.SERVER, reason, False)
