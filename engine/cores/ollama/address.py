"""Addresses of Ollama servers, in every form that `OLLAMA_HOST` and `--core ollama@…` may have."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.cores.addresses import reachable_host
from engine.cores.api_keys import checked_key, without_login
from engine.errors import UsageError
from engine.sanitise import one_line

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 11434
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address. `url` is `scheme://host:port[/path]`, `label` its short form for people: `host:port`."""

    url: str
    label: str

    @property
    def host(self) -> str:
        """The host's name or number, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def local(self) -> bool:
        """True if the address is this machine's loopback."""
        return reachable_host(self.host)[1]


def parse_address(text: str | None) -> Address:
    """Return the address that `text` means; empty or None is `127.0.0.1:11434`.

    Takes `host`, `host:port`, `:port`, `http(s)://host[:port][/path]` and IPv6 with or without brackets, as the
    Ollama server reads `OLLAMA_HOST`: without a scheme the port defaults to 11434, with one to the scheme's. A
    listening address (`0.0.0.0`, `::`) means this machine's loopback. Raises UsageError for anything else.
    """
    given = (text or "").strip().strip("\"'").strip()
    scheme, separator, rest = given.partition("://")
    scheme = scheme.lower() if separator else "http"
    if not separator:
        rest = given
    if scheme not in _PORTS:
        raise _bad(given, "use http:// or https://")
    if _is_ipv6(rest):
        rest = f"[{rest}]"
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or DEFAULT_HOST, parts.port
    except ValueError:
        raise _bad(given, "use HOST, HOST:PORT or a URL") from None
    if "@" in parts.netloc:
        raise UsageError("an Ollama address cannot carry a user name or password; put a key in OLLAMA_API_KEY")
    if parts.query or parts.fragment or any(c.isspace() or ord(c) < 32 for c in rest) or port == 0:
        raise _bad(given, "use HOST, HOST:PORT or a URL")
    host, _ = reachable_host(host)
    port = port or (_PORTS[scheme] if separator else DEFAULT_PORT)
    path = parts.path.rstrip("/")
    label = f"{host}:{port}{path}"
    return Address(f"{scheme}://{label}", label if scheme == "http" else f"https://{label}")


def key_for(address: Address, environ: Mapping[str, str]) -> str | None:
    """Return the key of `OLLAMA_API_KEY` if it is for this server: ollama.com, or the one `OLLAMA_HOST` names.

    Any other server must not see it. Raises UsageError for text that is no key.
    """
    key = environ.get("OLLAMA_API_KEY", "").strip()
    if not key:
        return None
    hosted = address.url.startswith("https:") and (address.host == "ollama.com" or address.host.endswith(".ollama.com"))
    named = environ.get("OLLAMA_HOST", "").strip()
    try:
        ours = hosted or (bool(named) and parse_address(named).url == address.url)
    except UsageError:
        ours = False
    return checked_key(key, "the variable OLLAMA_API_KEY") if ours else None


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _bad(given: str, advice: str) -> UsageError:
    return UsageError(f"'{one_line(without_login(given), 100)}' is not the address of an Ollama server; {advice}")
