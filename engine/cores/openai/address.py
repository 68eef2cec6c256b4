"""Addresses of OpenAI-compatible servers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.cores.addresses import reachable_host
from engine.cores.api_keys import without_login
from engine.errors import UsageError
from engine.sanitise import one_line

_PATH = "/v1"


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A server's base URL, under which `/models` and `/chat/completions` are.

    Attributes:
        label: its short form for people. private: requests cannot be read on the way: TLS, or this machine.
    """

    url: str
    label: str
    private: bool


def parse_base_url(text: str) -> BaseUrl:
    """Return the base URL that `text` means: a URL, or `HOST:PORT`; without a path it is `/v1`.

    A listening address (`0.0.0.0`, `::`) means this machine's loopback. Raises UsageError for anything else.
    """
    given = text.strip()
    scheme, separator, rest = given.partition("://")
    scheme = scheme.lower() if separator else "http"
    rest = rest if separator else given
    if scheme not in ("http", "https"):
        raise _bad(given)
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad(given) from None
    if "@" in parts.netloc or parts.query:
        raise UsageError("the address of a server cannot carry a key or password; put the key in its variable")
    if not host or port == 0 or parts.fragment or any(c.isspace() or not c.isprintable() for c in rest):
        raise _bad(given)
    host, local = reachable_host(host)
    where = f"{host}:{port}" if port else host
    path = parts.path.rstrip("/")
    label = f"{where}{path}" if scheme == "http" else f"https://{where}{path}"
    return BaseUrl(f"{scheme}://{where}{path or _PATH}", label, local or scheme == "https")


def _bad(given: str) -> UsageError:
    shown = one_line(without_login(given), 100)
    return UsageError(f"'{shown}' is not the address of a server; use HOST:PORT or http(s)://HOST/v1")
