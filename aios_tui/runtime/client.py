"""HTTP client of a running console or service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from aios_tui import __version__
from aios_tui.config.settings import Settings
from aios_tui.runtime import discovery
from engine.errors import AiosError, UsageError
from engine.sanitise import one_line

ANSWER_S = 30.0
EVENT_GAP_S = 60.0
"""Seconds of silence after which an event stream counts as dead; the service sends something every 15 s."""


class RemoteError(AiosError):
    """The service can't be reached, or answered with an internal error."""


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """One server-sent event: its kind, such as `task_ended`, and its data."""

    kind: str
    data: dict[str, Any]


class Remote:
    """A connection to one service, used in a `with`. Every method raises AiosError with one line.

    Errors of the caller, such as an unknown task, are UsageErrors.
    """

    def __init__(self, client: httpx.Client, where: str) -> None:
        self._client = client
        self.where = where

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self._call("GET", path, params={key: value for key, value in params.items() if value is not None})

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        return self._call("POST", path, json={} if body is None else body)

    def put(self, path: str, body: Any) -> dict[str, Any]:
        return self._call("PUT", path, json=body)

    def wait(self, task_id: int) -> dict[str, Any]:
        """Wait for a task's end and return its record."""
        while True:
            record = self._call("GET", f"/v1/tasks/{task_id}", params={"wait": 20})
            if record.get("ended_at") is not None:
                return record

    def events(self, **params: Any) -> Iterator[RemoteEvent]:
        """Yield events until the service stops."""
        given = {key: value for key, value in params.items() if value is not None}
        timeout = httpx.Timeout(ANSWER_S, read=EVENT_GAP_S)
        with (
            self._map_errors(),
            self._client.stream("GET", "/v1/events", params=given, timeout=timeout) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                _raise_for_status(answer)
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    if kind == "end":
                        return
                    yield RemoteEvent(kind, json.loads(value))
            raise RemoteError(f"{self.where} broke off")

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        with self._map_errors():
            answer = self._client.request(method, path, **options)
            _raise_for_status(answer)
            found = answer.json()
        if not isinstance(found, dict):
            raise RemoteError(f"{self.where} is not an aios-tui service")
        return found

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        """Turn httpx and JSON errors into AiosErrors."""
        try:
            yield
        except httpx.ConnectError as error:
            raise RemoteError(f"{self.where} does not answer: {one_line(str(error), 200)}") from None
        except httpx.HTTPError as error:
            raise RemoteError(f"{self.where}: {one_line(str(error) or type(error).__name__, 200)}") from None
        except ValueError:
            raise RemoteError(f"{self.where} is not an aios-tui service") from None


def find(settings: Settings) -> Remote:
    """Return a client of the service that the setting `service` names, else of the one that has the history.

    Raises:
        UsageError: none is running.
    """
    headers = {"user-agent": f"aios-tui/{__version__}"}
    if settings.token is not None:
        headers["authorization"] = f"Bearer {settings.token.get_secret_value()}"
    if settings.service is not None:
        return Remote(_client(settings.service, headers), f"the service at {settings.service}")
    found = discovery.look_up(settings.db)
    if found is None or (found.socket is None and found.url is None):
        raise UsageError(
            f"no console or service runs on the history {settings.db}: start one with aios-tui or aios-tui serve"
        )
    where = f"the console or service with process id {found.pid}"
    if found.socket is None:
        return Remote(_client(found.url or "", headers), where)
    transport = httpx.HTTPTransport(uds=str(found.socket))
    return Remote(_client("http://localhost", headers, transport), where)


def _client(url: str, headers: dict[str, str], transport: httpx.BaseTransport | None = None) -> httpx.Client:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"service {one_line(url, 100)!r} is not of the form http://HOST:PORT")
    return httpx.Client(base_url=url, headers=headers, timeout=ANSWER_S, transport=transport, trust_env=False)


def _raise_for_status(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"answered {answer.status_code}"
    text = one_line(str(detail))
    raise RemoteError(text) if answer.status_code >= 500 else UsageError(text)
