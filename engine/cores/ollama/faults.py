"""What went wrong with an Ollama server, as the kernel's faults: one line that says what, where and what to do."""

from __future__ import annotations

import httpx
import ollama
from pydantic import ValidationError

from engine.cores.http import StatusError, WireError
from engine.cores.port import Fault, FaultKind
from engine.text import one_line


def fault_of(error: Exception, where: str, *, started: bool) -> Fault:
    """Return the fault that `error` means. `where` names the server; `started`: part of the answer had come."""
    server = f"Ollama at {where}"
    match error:
        case StatusError():
            fault = _status_fault(error, where)
        case WireError(foreign=True):
            fault = _foreign(where, str(error))
        case WireError():
            fault = Fault(FaultKind.BROKEN_STREAM, f"the answer of {server} is broken: {error}", True)
        case ollama.ResponseError():  # raised by the client for an error object in the stream
            fault = Fault(FaultKind.SERVER, f"{server} stopped: {one_line(str(error.error), 300)}", True)
        case ValidationError():
            fault = Fault(FaultKind.BROKEN_STREAM, f"{server} sent a record of the wrong shape", True)
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            fault = Fault(FaultKind.GAP_TIMEOUT, f"{server} accepted the request and then fell silent", True)
        case TimeoutError():
            fault = Fault(FaultKind.GAP_TIMEOUT, f"{server} did not answer in time", True)
        case httpx.TransportError() | OSError() if started:
            fault = Fault(FaultKind.BROKEN_STREAM, f"the connection to {server} broke in mid-answer", True)
        case httpx.TransportError() | OSError():
            reason = f"{server} cannot be reached ({_cause(error)}); start it, or check its address"
            fault = Fault(FaultKind.UNREACHABLE, reason, True)
        case _:  # a mistake of ours, named so that it can be reported
            fault = Fault(
                FaultKind.INTERNAL, one_line(f"the Ollama core failed: {type(error).__name__}: {error}"), False
            )
    return fault


def _status_fault(error: StatusError, where: str) -> Fault:
    status, said = error.status, error.message or "no reason given"
    refused = f"Ollama at {where} refused the request (HTTP {status}): {said}"
    if 300 <= status < 400:
        fault = _foreign(where, f"it redirects to {said}")
    elif status in (429, 503):
        fault = Fault(FaultKind.BUSY, f"Ollama at {where} is busy: {said}", True)
    elif status >= 500:
        # A model too large for the machine stays too large; the server has no status of its own for that.
        lasting = "requires more system memory" in said
        fault = Fault(FaultKind.SERVER, f"Ollama at {where} failed (HTTP {status}): {said}", not lasting)
    elif status == 404 and error.ours:
        fault = Fault(FaultKind.NO_MODEL, said, False)
    elif status in (404, 405):
        fault = _foreign(where, f"HTTP {status}")
    elif status in (401, 403):
        fault = Fault(FaultKind.BAD_REQUEST, f"{refused}; an access key goes in OLLAMA_API_KEY", False)
    else:
        fault = Fault(FaultKind.BAD_REQUEST, refused, False)
    return fault


def _foreign(where: str, why: str) -> Fault:
    return Fault(FaultKind.SERVER, f"what answers at {where} is not Ollama ({why}); check its address", False)


def _cause(error: Exception) -> str:
    """Why a connection failed, in a few words; httpx says the same of every refused one, with several addresses."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer in time"
    said = one_line(str(error), 120).rstrip(".")
    if "All connection attempts failed" in said:
        return "connection refused"
    return said or type(error).__name__
