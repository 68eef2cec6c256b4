"""What each client has set up for itself. Setup starts nothing: one kernel serves all."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

MAX_CLIENTS = 10_000


@dataclass(slots=True)
class Client:
    """A client's own choices, for the tasks that it submits.

    Attributes:
        model, max_tokens: of its last llm setup; model by the name that serves it.
        selected: as it selected llms, in its own words.
        setups: llm setups less cleanups. Clients of one address can't be told apart, so what one of them cleans up is
            forgotten only when all have.
    """

    model: str | None = None
    max_tokens: int | None = None
    selected: list[dict[str, Any]] = field(default_factory=list)
    setups: int = 0


class Clients:
    """Clients by name; those heard longest ago are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Client] = OrderedDict()

    def get(self, name: str) -> Client:
        """What `name` set up; nothing, for one not heard of."""
        return self._known.get(name) or Client()

    def set_up(self, name: str, *, model: str | None, max_tokens: int | None) -> None:
        client = self._touch(name)
        client.model, client.max_tokens = model, max_tokens
        client.setups += 1

    def select(self, name: str, llms: list[dict[str, Any]]) -> None:
        self._touch(name).selected = llms

    def clean_up(self, name: str) -> None:
        """Forget what `name` set up, once it has cleaned up as often as it had set up."""
        client = self._known.get(name)
        if client is not None:
            client.setups -= 1
            if client.setups <= 0:
                client.model = client.max_tokens = None
                client.setups = 0
                if not client.selected:
                    del self._known[name]

    def _touch(self, name: str) -> Client:
        client = self._known.pop(name, None) or Client()
        self._known[name] = client
        if len(self._known) > MAX_CLIENTS:
            self._known.popitem(last=False)
        return client
