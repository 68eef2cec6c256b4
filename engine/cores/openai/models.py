"""The models of an OpenAI-compatible server: the last list, the default, and the messages about missing ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from engine.cores.http import StatusError, WireError, read_as
from engine.cores.openai.presets import Quirks
from engine.cores.openai.wire import Connection
from engine.cores.port import ModelInfo
from engine.llm_query import Line
from engine.sanitise import one_line


def _count(value: Any) -> int | None:
    """Return a number of tokens or bytes; None for any other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 62 else None


Count = Annotated[int | None, BeforeValidator(_count)]
_NAMES_SHOWN = 12
_CONTEXT = ("max_model_len", "context_window", "context_length", "context_size", "max_context_length")


class _Meta(BaseModel):
    """llama.cpp's facts about a model."""

    n_ctx: Count = None
    n_ctx_train: Count = None
    size: Count = None


class _Listed(BaseModel):
    """One entry. The fields beside `id` differ: `context` has the names that vLLM, Groq, Novita … use."""

    id: Line
    context: Count = Field(default=None, validation_alias=AliasChoices(*_CONTEXT))
    owned_by: Any = None
    meta: _Meta | None = None


class _List(BaseModel):
    data: list[_Listed]


class ServerModels:
    """`configured`: the configured default model. `clean` removes the key from a text.

    Attributes:
        models: the list of the last `refresh`, in the server's order.
    """

    def __init__(
        self, connection: Connection, quirks: Quirks, configured: str | None, clean: Callable[[str], str]
    ) -> None:
        self._connection, self._quirks, self._configured, self._clean = connection, quirks, configured, clean
        self.models: tuple[ModelInfo, ...] = ()

    async def refresh(self) -> bool:
        """Ask the server; return True if its models have changed. Raises StatusError, WireError and httpx's errors."""
        try:
            body = await self._connection.models()
            found = read_as(_List, body, "it does not list its models as OpenAI does").data
        except (StatusError, WireError) as error:
            # A server without a list is up if it answers at all, unless with an error of its own.
            if self._quirks.lists_models or (isinstance(error, StatusError) and error.status >= 500):
                raise
            return False
        before, self.models = self.models, tuple(self._cleaned(_info(each, self._quirks)) for each in found)
        return _identity(before) != _identity(self.models)

    def _cleaned(self, model: ModelInfo) -> ModelInfo:
        name, detail, aliases = self._clean(model.name), self._clean(model.detail), map(self._clean, model.aliases)
        return replace(model, name=name, detail=detail, aliases=tuple(aliases))

    def default(self) -> str | None:
        """Return the default model. It is not a provider's first one, which may be its dearest."""
        if self._configured or not self._quirks.picks_first:
            return self._configured
        return next((model.name for model in self.models if model.chats), None)

    def usable(self) -> bool:
        """Return True if there is a default model, or one that a task may name."""
        return self.default() is not None or not self._quirks.lists_models or any(model.chats for model in self.models)

    def has(self, name: str) -> bool:
        return any(model.answers_to(name) for model in self.models)

    def names(self) -> str:
        """List the models for a message; empty when none are known."""
        names = [model.name for model in self.models if model.chats]
        return f"it has: {', '.join(names[:_NAMES_SHOWN])}{', …' if len(names) > _NAMES_SHOWN else ''}" if names else ""

    def no_default(self) -> str:
        """Return the reason why there is no default model."""
        if self._quirks.picks_first:
            return "it lists no model"
        return "; ".join(filter(None, ("no model is chosen; name one for the core or the task", self.names())))

    def problem(self) -> str:
        """Return the problem with the default model; empty if there is none."""
        default = self.default()
        if default is None:
            return self.no_default()
        if self.models and self._quirks.ignores_model and not self.has(default):
            return f"it does not list the default model '{default}'; {self.names()}"
        return ""


def _info(model: _Listed, quirks: Quirks) -> ModelInfo:
    name, meta = model.id.removeprefix(quirks.model_prefix), model.meta or _Meta()
    cannot = any(fnmatchcase(name.lower(), pattern) for pattern in quirks.not_chat)
    return ModelInfo(
        name=name,
        size=meta.size,
        loaded=quirks.keeps_loaded,
        context_length=model.context or meta.n_ctx or meta.n_ctx_train,
        detail=one_line(model.owned_by, 60) if isinstance(model.owned_by, str) else "",
        aliases=(model.id,) if name != model.id else (),
        capabilities=("other",) if cannot else None,
    )


def _identity(models: tuple[ModelInfo, ...]) -> set[tuple[str, frozenset[str], bool]]:
    """Return the parts of a list that count as a change: neither its order, nor times and counts."""
    return {(model.name, frozenset(model.aliases), model.loaded) for model in models}
