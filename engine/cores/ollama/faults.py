"""Errors of an Ollama server as faults: one line with the problem, the server and the remedy.

The server's own words come first, since a line may be cut at its end; its address follows in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import httpx
import ollama
from pydantic import ValidationError

from engine.cores.http import StatusError, WireError, connection_fault
from engine.cores.port import Fault, FaultKind
from engine.sanitise import one_line
from engine.wording import nearest

_NAMES_SHOWN = 12
_NAMES_COMPARED = 1_000  # a list has no end that we set; comparing takes a while, and holds everything else up
_PAGE = re.compile(r"<(!doctype|html|head|body|title|h1)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_MEMORY = re.compile(r"requires more (system )?memory|out of memory|unable to allocate|cannot allocate", re.IGNORECASE)
_ROOM = "take a smaller model or a smaller num_ctx, or unload another model"


class StreamError(Exception):
    """An error object in place of a record; the text is the server's."""


def fault_of(error: Exception, where: str, *, started: bool) -> Fault:
    """Return the fault that `error` means. `where` names the server; `started`: part of the answer had come."""
    server = f"Ollama at {where}"
    match error:
        case StatusError():
            fault = _status_fault(error, where)
        case WireError(foreign=True):
            fault = _foreign(where, str(error))
        case StreamError():
            fault = _failed(one_line(str(error), 300), f"{server} stopped")
        case ollama.ResponseError():  # as the client raises it in a pull
            fault = _failed(one_line(str(error.error), 300), f"{server} stopped")
        case ValidationError() | RecursionError():
            fault = Fault(FaultKind.BROKEN_STREAM, f"{server} sent a record of the wrong shape", True)
        case httpx.RemoteProtocolError() if not started and "illegal" in str(error):
            fault = _foreign(where, "it does not speak HTTP, or wants https://")
        case _:
            fault = connection_fault(error, server, started=started)
    return fault


def is_foreign(fault: Fault) -> bool:
    """True if another kind of server answered: the one server fault that is not retryable."""
    return fault.kind is FaultKind.SERVER and not fault.retryable


def missing_model(model: str, where: str, installed: Sequence[str], core: str = "") -> str:
    """Word the fault of a missing model: the nearest name, the installed models, and the command that fetches it.

    `core` is that command's option for this core.
    """
    near = nearest_model(model, installed)
    listed = ", ".join(installed[:_NAMES_SHOWN]) + (", …" if len(installed) > _NAMES_SHOWN else "")
    asked = f"did you mean '{near}'? " if near else ""
    got = f"installed: {listed}; " if installed else "no model that can chat is installed; "
    return f"model '{model}' not found at {where}; {asked}{got}to fetch it: aios-tui models pull {model}{core}"


def nearest_model(model: str, names: Sequence[str]) -> str | None:
    """Return the name most like `model`, without its tag if need be; None when none is alike."""
    names = names[:_NAMES_COMPARED]
    if found := nearest(model, names, most=1, cutoff=0.6):
        return found[0]
    bare = {name.partition(":")[0]: name for name in reversed(names)}
    found = nearest(model.partition(":")[0], bare, most=1, cutoff=0.75)
    return bare[found[0]] if found else None


def refused_option(error: StatusError) -> Literal["think", "format", "tools"] | None:
    """Return the option for which the server refused a request; None if its words name none."""
    said = error.message.casefold()
    if not error.ours or error.status not in (400, 500):
        return None
    if error.status == 400 and "think" in said:
        return "think"
    if error.status == 400 and "support tools" in said:
        return "tools"
    return "format" if "format" in said or "schema" in said or "grammar" in said else None


def _status_fault(error: StatusError, where: str) -> Fault:
    status, said = error.status, error.message or "no reason given"
    refused = f"{said} (refused by Ollama at {where}, HTTP {status})"
    page = web_page(said)
    if 300 <= status < 400:
        fault = _foreign(where, f"it redirects to {said}")
    elif status in (429, 503):
        said = f"busy: a proxy says {page}" if page else said
        fault = Fault(FaultKind.BUSY, f"{said} (Ollama at {where}, HTTP {status})", True)
    elif status >= 500 and page:
        reason = f"a proxy before Ollama at {where} answered HTTP {status} ({page}); see whether Ollama runs behind it"
        fault = Fault(FaultKind.UNREACHABLE, reason, True)
    elif status >= 500:
        fault = _failed(said, f"Ollama at {where}, HTTP {status}")
    elif status == 404 and error.ours:
        fault = Fault(FaultKind.NO_MODEL, said, False)
    elif status in (404, 405):
        fault = _foreign(where, f"HTTP {status}")
    elif status == 407:
        fault = Fault(FaultKind.REFUSED, f"a proxy before Ollama at {where} wants a password (HTTP 407)", False)
    elif status in (401, 403):
        key = "OLLAMA_API_KEY is sent to ollama.com, and to the server that OLLAMA_HOST names"
        fault = Fault(FaultKind.REFUSED, f"{refused}; {key}", False)
    elif option := refused_option(error):
        fault = Fault(FaultKind.BAD_REQUEST, f"{refused}; {_INSTEAD[option]}", False)
    else:
        fault = Fault(FaultKind.BAD_REQUEST, refused, False)
    return fault


_INSTEAD = {
    "think": "leave out the option think, or take a model that thinks",
    "tools": "take a model that can call tools",
    "format": "see the option format",
}


def _failed(said: str, where: str) -> Fault:
    """Return a server's own failure, in its words. They alone show that a model is too large for the machine."""
    reason = f"{said} ({where})"
    if _MEMORY.search(said):
        return Fault(FaultKind.NO_MEMORY, f"{reason}; {_ROOM}", False)
    return Fault(FaultKind.SERVER, reason, True)


def web_page(said: str) -> str:
    """Return the name of a web page that came in place of an answer; empty for another text."""
    if not _PAGE.search(said):
        return ""
    title = _TITLE.search(said)
    return f"the web page '{one_line(title.group(1), 80)}'" if title else "a web page"


def _foreign(where: str, why: str) -> Fault:
    return Fault(FaultKind.SERVER, f"what answers at {where} is not Ollama ({why}); check its address", False)
