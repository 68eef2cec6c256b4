"""Addresses of OpenAI-compatible servers."""

from __future__ import annotations

from engine.cores.addresses import Address, has_bad_character, reachable_host, split_address
from engine.cores.api_keys import without_login
from engine.errors import UsageError
from engine.sanitise import one_line


def parse_base_url(text: str) -> Address:
    """Return the base URL, under which `/models` and `/chat/completions` are; without a path it is `/v1`.

    `text` is a URL, or `HOST:PORT`. A listening address (`0.0.0.0`, `::`) means this machine's loopback. Raises
    UsageError for anything else.
    """
    given = text.strip()
    try:
        parts, _ = split_address(given)
    except ValueError:
        raise _bad(given) from None
    if parts.scheme in ("http", "https") and ("@" in parts.netloc or parts.query):
        raise UsageError("the address of a server cannot carry a key or password; put the key in its variable")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or has_bad_character(given):
        raise _bad(given)
    host, _ = reachable_host(parts.hostname)
    path = parts.path.rstrip("/")
    where = f"{host}:{parts.port}" if parts.port else host
    label = f"{where}{path}" if parts.scheme == "http" else f"https://{where}{path}"
    return Address(f"{parts.scheme}://{where}{path or '/v1'}", label)


def _bad(given: str) -> UsageError:
    shown = one_line(without_login(given), 100)
    return UsageError(f"'{shown}' is not the address of a server; use HOST:PORT or http(s)://HOST/v1")
