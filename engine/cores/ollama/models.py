"""The models of an Ollama server: the installed and the loaded ones, and the choice of the default."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import ollama
from pydantic import BaseModel, BeforeValidator, ValidationError

from engine.cores.http import StatusError, read_as
from engine.cores.ollama.wire import Connection
from engine.cores.port import ModelInfo
from engine.llm_query import Line

FIRST_SAFE = (0, 35, 0)
_NEVER_S = 100 * 365 * 86_400.0
_MOST = 1 << 62


def bounded(value: Any) -> Any:
    """Return a server's number; None for a negative or absurd one, since arithmetic on it may fail."""
    return None if isinstance(value, int | float) and not 0 <= value < _MOST else value


Count = Annotated[int | None, BeforeValidator(bounded)]


class Details(BaseModel):
    parameter_size: Line = ""
    quantization_level: Line = ""


class _Installed(BaseModel):
    """One entry of `/api/tags`. `capabilities` is None from an old server.

    Parsed here, because the official client drops the capabilities.
    """

    name: Line
    size: Count = None
    details: Details = Details()
    capabilities: list[Line] | None = None


class _Tags(BaseModel):
    models: list[_Installed] | None = None


class _Loaded(BaseModel):
    """One entry of `/api/ps`. The official client accepts absurd sizes, and fails at negative ones."""

    name: Line = ""
    model: Line = ""
    size: Count = None
    size_vram: Count = None
    expires_at: datetime | None = None
    context_length: Count = None


class _Running(BaseModel):
    models: list[_Loaded] | None = None


class _Version(BaseModel):
    version: Line


async def server_version(connection: Connection) -> str:
    """The server's version. Raises StatusError, WireError (not Ollama) and httpx's errors."""
    body = await connection.get("/api/version")
    return read_as(_Version, body, "it does not report Ollama's version").version


async def installed_models(connection: Connection) -> list[ModelInfo]:
    """Return the installed models, most recently changed first. Raises as `server_version` does."""
    body = await connection.get("/api/tags")
    return [_info(model) for model in read_as(_Tags, body, "its list of models is not Ollama's").models or []]


def _info(model: _Installed) -> ModelInfo:
    capabilities = None if model.capabilities is None else tuple(model.capabilities)
    info = ModelInfo(model.name, model.size, aliases=aliases(model.name), capabilities=capabilities)
    kind = "thinking" if "thinking" in (capabilities or ()) else ""
    words = (model.details.parameter_size, model.details.quantization_level, kind if info.chats else "embeddings only")
    return replace(info, detail=" ".join(filter(None, words)))


async def loaded_models(connection: Connection) -> list[ModelInfo]:
    """Return the models in memory. Raises as `server_version` does."""
    body = await connection.get("/api/ps")
    running = read_as(_Running, body, "its list of loaded models is not Ollama's").models or []
    return [
        ModelInfo(
            name=model.name or model.model,
            loaded=True,
            size_loaded=model.size,
            size_vram=model.size_vram,
            expires_at=_expiry(model.expires_at),
            context_length=model.context_length,
            aliases=aliases(model.name or model.model),
        )
        for model in running
        if model.name or model.model
    ]


def _expiry(moment: datetime | None) -> float | None:
    """Return Unix seconds; None for a model that stays (the server sends the year 2319) or has no time (year 1)."""
    seconds = unix_seconds(moment)
    return None if seconds is None or seconds > time.time() + _NEVER_S else seconds


def unix_seconds(moment: datetime | None) -> float | None:
    """Return the time as Unix seconds; None before 1970, and from 9999 on, which not every time zone can show."""
    return moment.timestamp() if moment is not None and 1970 <= moment.year < 9999 else None


def describe(installed: Sequence[ModelInfo], loaded: Sequence[ModelInfo]) -> tuple[ModelInfo, ...]:
    """Combine installed and loaded models, the installed ones first, in the server's order."""
    in_memory = {model.name: model for model in loaded}
    infos = []
    for model in installed:
        now = in_memory.pop(model.name, model)
        infos.append(replace(now, size=model.size, detail=model.detail, capabilities=model.capabilities))
    return (*infos, *in_memory.values())


def aliases(name: str) -> tuple[str, ...]:
    """Return other names of a model: the tag `latest` may be left out."""
    bare = name.removesuffix(":latest")
    return () if bare == name else (bare,)


async def choose_default(
    connection: Connection, installed: Sequence[ModelInfo], loaded: Sequence[ModelInfo]
) -> str | None:
    """Return the first loaded model that can chat, else the most recently changed one that can, else None."""
    in_memory = [model.name for model in loaded]
    ordered = sorted(installed, key=lambda m: in_memory.index(m.name) if m.name in in_memory else len(in_memory))
    for model in ordered:
        if (await _with_capabilities(connection, model)).chats:
            return model.name
    return None


async def _with_capabilities(connection: Connection, model: ModelInfo) -> ModelInfo:
    """Return `model` with its capabilities; an older server is asked for them by name."""
    if model.capabilities is not None:
        return model
    try:
        shown = await connection.client.show(model.name)
    except (StatusError, ollama.ResponseError, ValidationError, ValueError):
        return model
    return replace(model, capabilities=None if shown.capabilities is None else tuple(shown.capabilities))


def version_warning(version: str) -> str:
    """Return a warning for versions before 0.35.0, which have a known remote code execution flaw; else "".

    0.0.0 is a development build, and passes.
    """
    found = re.match(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})", version)
    numbers = tuple(int(n) for n in found.groups()) if found else None
    if numbers is None or numbers == (0, 0, 0) or numbers >= FIRST_SAFE:
        return ""
    return f"Ollama {version} has a known remote code execution flaw; update it to 0.35.0 or later"
