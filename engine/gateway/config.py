"""Configuration of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.cores.addresses import ip_of
from engine.errors import UsageError

MIN_TOKEN_CHARS = 16


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """All times in seconds.

    Attributes:
        token: every request must carry it; required for every address but a loopback one.
        hosts: more names accepted in the `Host` header. Loopback names and addresses are always accepted.
        origins: web pages that may use the API from a browser (CORS); none by default.
        aliases: model names that clients use, each with the model that serves it.
        wait_s: longest wait of a status request for the end of its task.
        beat_s: interval of the blanks sent while a request waits, which keep proxies from closing the connection.
        max_body_bytes: largest request body. body_s: longest time for a client to send it.
        rate, burst: requests a second for one client address, and how many it may make at once.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 300.0
    beat_s: float = 2.5
    max_body_bytes: int = 8 * 1024 * 1024
    body_s: float = 30.0
    rate: float = 200.0
    burst: int = 1000

    def check(self) -> None:
        """Refuse a configuration that is open to anyone. Raises UsageError with one line."""
        if self.token is not None and len(self.token) < MIN_TOKEN_CHARS:
            raise UsageError(f"the token is too short: at least {MIN_TOKEN_CHARS} characters")
        if self.token is None and not is_loopback(self.host):
            raise UsageError(
                f"host {self.host}: other machines could reach it, so it needs a token: set AIOS_TUI_TOKEN, or use "
                "127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Return True when `host` is an address or a name of this machine only."""
    ip = ip_of(host)
    return ip.is_loopback if ip is not None else host.lower().rstrip(".") in ("localhost", "ip6-localhost")
