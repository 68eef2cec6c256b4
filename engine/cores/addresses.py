"""Addresses of model servers: the parts that every protocol reads alike."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address. `url` is `scheme://host[:port][/path]`, `label` its short form for people."""

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

    @property
    def private(self) -> bool:
        """True if requests cannot be read on the way: TLS, or this machine."""
        return self.local or self.url.startswith("https:")


def ip_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that `host` is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def reachable_host(host: str) -> tuple[str, bool]:
    """Return the host to connect to, an IPv6 address in brackets, and True if it is this machine.

    A listening address (`0.0.0.0`, `::`) becomes this machine's loopback.
    """
    ip = ip_of(host)
    if ip is None:
        return host, host == "localhost"
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return (f"[{ip}]" if ip.version == 6 else str(ip)), ip.is_loopback


def split_address(text: str) -> tuple[SplitResult, bool]:
    """Return the parts of `text`, and True if it has a scheme, which otherwise is `http`.

    IPv6 may lack its brackets. Raises ValueError for a port that is none, and for unbalanced brackets.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    ip = ip_of(rest)
    parts = urlsplit(f"//[{rest}]" if ip is not None and ip.version == 6 else f"//{rest}", scheme.lower())
    if parts.port == 0:
        raise ValueError("port 0")
    return parts, bool(separator)


def has_bad_character(text: str) -> bool:
    """True if a space or a control character is in `text`."""
    return any(character.isspace() or not character.isprintable() for character in text)
