"""Addresses of Ollama servers, in every form that `OLLAMA_HOST` and `--core ollama@…` may have."""

from __future__ import annotations

from collections.abc import Mapping

from engine.cores.addresses import Address, has_bad_character, reachable_host, split_address
from engine.cores.api_keys import checked_key, without_login
from engine.errors import UsageError
from engine.sanitise import one_line

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 11434
_PORTS = {"http": 80, "https": 443}


def parse_address(text: str | None) -> Address:
    """Return the address that `text` means; empty or None is `127.0.0.1:11434`.

    Takes `host`, `host:port`, `:port`, `http(s)://host[:port][/path]` and IPv6 with or without brackets, as the
    Ollama server reads `OLLAMA_HOST`: without a scheme the port defaults to 11434, with one to the scheme's. A
    listening address (`0.0.0.0`, `::`) means this machine's loopback. Raises UsageError for anything else.
    """
    given = (text or "").strip().strip("\"'").strip()
    try:
        parts, has_scheme = split_address(given)
    except ValueError:
        raise _bad(given, "use HOST, HOST:PORT or a URL") from None
    if parts.scheme not in _PORTS:
        raise _bad(given, "use http:// or https://")
    if "@" in parts.netloc:
        raise UsageError("an Ollama address cannot carry a user name or password; put a key in OLLAMA_API_KEY")
    if parts.query or parts.fragment or has_bad_character(given):
        raise _bad(given, "use HOST, HOST:PORT or a URL")
    host, _ = reachable_host(parts.hostname or DEFAULT_HOST)
    port = parts.port or (_PORTS[parts.scheme] if has_scheme else DEFAULT_PORT)
    label = f"{host}:{port}{parts.path.rstrip('/')}"
    return Address(f"{parts.scheme}://{label}", label if parts.scheme == "http" else f"https://{label}")


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


def _bad(given: str, advice: str) -> UsageError:
    return UsageError(f"'{one_line(without_login(given), 100)}' is not the address of an Ollama server; {advice}")
