"""Faults that mean the same for every model server: the connection, silence, and a stream that is not the protocol."""

from __future__ import annotations

import httpx

from engine.cores.http import WireError
from engine.cores.port import Fault, FaultKind
from engine.sanitise import one_line


def connection_fault(error: Exception, server: str, *, started: bool) -> Fault:
    """Return the fault of an error that is not the server's own. `started`: part of the answer had come.

    `server`: its name in messages, such as `Ollama at den:11434`. An unknown error is a bug of ours (INTERNAL).
    """
    match error:
        case WireError():
            return Fault(FaultKind.BROKEN_STREAM, f"the answer of {server} is broken: {error}", True)
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            return Fault(FaultKind.GAP_TIMEOUT, f"{server} accepted the request and then fell silent", True)
        case TimeoutError():
            return Fault(FaultKind.GAP_TIMEOUT, f"{server} did not answer in time", True)
        case httpx.TransportError() | OSError() if started:
            return Fault(FaultKind.BROKEN_STREAM, f"the connection to {server} broke in mid-answer", True)
        case httpx.TransportError() | OSError():
            reason = f"{server} cannot be reached ({_cause(error)}); start it, or check its address"
            return Fault(FaultKind.UNREACHABLE, reason, True)
        case _:
            reason = one_line(f"the core for {server} failed: {type(error).__name__}: {error}")
            return Fault(FaultKind.INTERNAL, reason, False)


def _cause(error: Exception) -> str:
    """Return why a connection failed, in a few words. httpx words it alike for every refused one."""
    text = one_line(str(error), 120).rstrip(".")
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer in time"
    if "All connection attempts failed" in text:
        return "connection refused"
    if "WRONG_VERSION_NUMBER" in text:
        return "it does not speak https"
    if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return "it hung up without an answer; perhaps it wants https"
    return text or type(error).__name__
