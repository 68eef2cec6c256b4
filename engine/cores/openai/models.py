"""The models that an OpenAI-compatible server lists."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError

from engine.cores.http import Line, WireError
from engine.cores.openai.presets import Quirks
from engine.cores.openai.wire import Connection
from engine.cores.port import ModelInfo
from engine.sanitise import one_line


def _count(value: Any) -> int | None:
    """Return a number of tokens or bytes; None for any other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 62 else None


Count = Annotated[int | None, BeforeValidator(_count)]
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


async def listed_models(connection: Connection, quirks: Quirks) -> tuple[ModelInfo, ...]:
    """Return the models that the server lists, in its order; none if it has no list.

    Raises StatusError, WireError (not such a server) and httpx's errors.
    """
    body = await connection.models()
    try:
        found = _List.model_validate_json(body).data
    except ValidationError:
        raise WireError("it does not list its models as OpenAI does", foreign=True) from None
    return tuple(_info(model, quirks) for model in found)


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
