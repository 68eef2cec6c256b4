"""Parts of server addresses that every protocol reads alike."""

from __future__ import annotations

import ipaddress


def reachable_host(host: str) -> tuple[str, bool]:
    """Return the host to connect to, an IPv6 address in brackets, and True if it is this machine.

    A listening address (`0.0.0.0`, `::`) becomes this machine's loopback.
    """
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host, host == "localhost"
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return (f"[{ip}]" if ip.version == 6 else str(ip)), ip.is_loopback
