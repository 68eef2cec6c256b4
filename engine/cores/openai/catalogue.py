"""The models of one server as its core knows them: those listed last, the default, and what to say when one lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.cores.http import StatusError, WireError
from engine.cores.openai.models import listed_models
from engine.cores.openai.presets import Quirks
from engine.cores.openai.wire import Connection
from engine.cores.port import ModelInfo

_NAMES_SHOWN = 12


class Catalogue:
    """`configured`: the default model that was asked for. `clean` cuts the key out of a text.

    Attributes:
        models: as listed at the last `look`, in the server's order.
    """

    def __init__(
        self, connection: Connection, quirks: Quirks, configured: str | None, clean: Callable[[str], str]
    ) -> None:
        self._connection, self._quirks, self._configured, self._clean = connection, quirks, configured, clean
        self.models: tuple[ModelInfo, ...] = ()

    async def look(self) -> bool:
        """Ask the server; True if its models have changed. Raises StatusError, WireError and httpx's errors."""
        try:
            found = await listed_models(self._connection, self._quirks)
        except (StatusError, WireError) as error:
            # Without a list any answer shows that it is there, but for a trouble of its own.
            if self._quirks.lists_models or (isinstance(error, StatusError) and error.status >= 500):
                raise
            return False
        before, self.models = self.models, tuple(map(self._cleaned, found))
        return _told(before) != _told(self.models)

    def _cleaned(self, model: ModelInfo) -> ModelInfo:
        name, detail, aliases = self._clean(model.name), self._clean(model.detail), map(self._clean, model.aliases)
        return replace(model, name=name, detail=detail, aliases=tuple(aliases))

    def default(self) -> str | None:
        """What answers when a task names no model. A provider's first model may be its dearest, so it is not taken."""
        if self._configured or not self._quirks.picks_first:
            return self._configured
        return next((model.name for model in self.models if model.chats), None)

    def usable(self) -> bool:
        """Whether there is a model to ask for: the default, or one that a task may name."""
        return self.default() is not None or not self._quirks.lists_models or any(model.chats for model in self.models)

    def has(self, name: str) -> bool:
        return any(name == model.name or name in model.aliases for model in self.models)

    def names(self) -> str:
        """What could be asked for, as part of a sentence; empty when nothing is known."""
        names = [model.name for model in self.models if model.chats]
        return f"it has: {', '.join(names[:_NAMES_SHOWN])}{', …' if len(names) > _NAMES_SHOWN else ''}" if names else ""

    def no_default(self) -> str:
        """Why there is no default model."""
        if self._quirks.picks_first:
            return "it lists no model"
        return "; ".join(filter(None, ("no model is chosen; name one for the core or the task", self.names())))

    def lacking(self) -> str:
        """What is wrong with the default model; empty if nothing."""
        default = self.default()
        if default is None:
            return self.no_default()
        if self.models and self._quirks.ignores_model and not self.has(default):
            return f"it does not list the default model '{default}'; {self.names()}"
        return ""


def _told(models: tuple[ModelInfo, ...]) -> set[tuple[str, frozenset[str], bool]]:
    """What makes a list another one: neither its order, nor a field that is a time or a count."""
    return {(model.name, frozenset(model.aliases), model.loaded) for model in models}
