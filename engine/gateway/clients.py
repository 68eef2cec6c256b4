"""Remember what each client set up. Setup starts nothing: one kernel serves all."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

MAX_CLIENTS = 10_000


@dataclass(slots=True)
class Client:
    """A client's choices for the tasks that it submits.

    Attributes:
        model, max_tokens: of its last llm setup; `model` after aliases are resolved.
        selected: the llms it selected, as it sent them.
        setups: llm setups minus cleanups. Clients at one address can't be distinguished, so their setup is forgotten
            only when all of them have cleaned up.
    """

    model: str | None = None
    max_tokens: int | None = None
    selected: list[dict[str, Any]] = field(default_factory=list)
    setups: int = 0


class Clients:
    """Clients by name, the most recent `MAX_CLIENTS` of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Client] = OrderedDict()

    def get(self, name: str) -> Client:
        """Return what `name` set up; an empty `Client` for an unknown name."""
        return self._known.get(name) or Client()

    def set_up(self, name: str, *, model: str | None, max_tokens: int | None) -> None:
        client = self._touch(name)
        client.model, client.max_tokens = model, max_tokens
        client.setups += 1

    def select(self, name: str, llms: list[dict[str, Any]]) -> None:
        self._touch(name).selected = llms

    def clean_up(self, name: str) -> None:
        """Forget what `name` set up once cleanups match setups."""
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
