"""Manages the models of an Ollama server: show, pull, delete, load and unload.

The official client sends the requests; this module adds bounds, time limits and checks of the answers. Formats:
https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, cast

import httpx
import ollama
from pydantic import BaseModel, BeforeValidator, Field

from engine.cores.addresses import Address
from engine.cores.api_keys import redact
from engine.cores.http import WireError, read_as
from engine.cores.model_management import ModelDetails, PullProgress
from engine.cores.ollama import models as ollama_models
from engine.cores.ollama.faults import fault_of, nearest_model
from engine.cores.ollama.wire import Connection
from engine.cores.port import Fault, FaultKind, ModelInfo
from engine.cores.slot_health import SlotHealth
from engine.errors import CoreError
from engine.llm_query import Line
from engine.sanitise import one_line, sanitise

_TEXT_CAP = 256 << 10
_FACTS = 200
_MOST_BYTES = 1 << 62
_UNLOAD_LOOKS, _UNLOAD_PAUSE_S = 20, 0.1


def _text(value: Any) -> Any:
    return sanitise(value[:_TEXT_CAP].replace("\r", "")) if isinstance(value, str) else value or ""


Text = Annotated[str, BeforeValidator(_text)]


class _Details(ollama_models.Details):
    family: Line = ""
    format: Line = ""


class _Shown(BaseModel):
    """The answer of `/api/show`. Read here and not by the official client, which drops the system prompt."""

    details: _Details = _Details()
    template: Text = ""
    parameters: Text = ""
    license: Text = ""
    system: Text = ""
    modified_at: datetime | None = None
    capabilities: list[Line] | None = None
    model_info: dict[str, Any] = Field(default_factory=dict)


class OllamaModelManager:
    """The part of an Ollama core that is a `ModelManager`. Durations in seconds.

    Attributes:
        answer_s: time limit of a look-up or a deletion. load_s: time limit of a load.
        silence_s: the longest silence in a pull; the check of a large model is silent for minutes.
    """

    address: Address
    answer_s: float = 30.0
    load_s: float = 900.0
    silence_s: float = 900.0
    _connection: Connection
    _health: SlotHealth
    _configured: str | None
    _key: str | None

    async def show(self, model: str) -> ModelDetails:
        name = checked_name(model)
        async with self._or_refusal(name, "looked up"), asyncio.timeout(self.answer_s):
            shown = read_as(
                _Shown,
                await self._connection.post("/api/show", {"model": name}),
                "what it says of the model is not Ollama's",
            )
            installed = await ollama_models.installed_models(self._connection)
            infos = ollama_models.describe(installed, await ollama_models.loaded_models(self._connection))
        info = next((info for info in infos if info.answers_to(name)), ModelInfo(name))
        return _details(info, shown)

    async def pull(self, model: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a model from the server's library, a PullProgress for each record. Raises CoreError.

        Closing it early closes the connection, by which the server stops; what it has is kept for the next pull.
        """
        name, started, complete = checked_name(model), False, False
        try:
            stream = cast(
                AsyncGenerator[ollama.ProgressResponse, None], await self._connection.client.pull(name, stream=True)
            )
            async with aclosing(stream) as records:
                while True:
                    async with asyncio.timeout(self.silence_s):
                        record = await anext(records, None)
                    if record is None:
                        break
                    started, complete = True, complete or record.status == "success"
                    yield _progress(record, self._key)
        except Exception as error:  # noqa: BLE001  (whatever is wrong, one line of it)
            raise await self._refusal(name, "pulled", error, started=started) from None
        if not complete:
            where = self.address.label
            raise CoreError(f"the pull of {name} broke off at Ollama at {where}; pull it again, it resumes there")
        self._health.models_changed()

    async def delete(self, model: str) -> None:
        name = checked_name(model)
        async with self._or_refusal(name, "deleted"), asyncio.timeout(self.answer_s):
            await self._connection.client.delete(name)
        self._health.models_changed()

    async def load(self, model: str, keep_alive: str | None = None) -> float:
        """Have a model in memory now; returns the seconds from the request to the answer. Raises CoreError.

        `keep_alive` is how long it stays without use: seconds, or a number with a unit such as `10m`; negative is for
        ever. A model that can only embed is loaded by an embedding of nothing, since the server won't generate by it.
        """
        name, stay = checked_name(model), keep_alive_value(keep_alive)
        begun = time.monotonic()
        async with self._or_refusal(name, "loaded"), asyncio.timeout(self.load_s):
            installed = await ollama_models.installed_models(self._connection)
            if any(each.answers_to(name) and not each.chats for each in installed):
                await self._connection.client.embed(name, [], keep_alive=stay)
            elif not (await self._connection.client.generate(name, "", keep_alive=stay)).done:
                raise WireError("it does not say that the model is loaded")
        took = time.monotonic() - begun
        self._health.models_changed()
        return took

    async def unload(self, model: str) -> None:
        """Take a model out of memory. Raises CoreError.

        The server does so once the model has answered what it is answering; it is waited for a moment, not to the end.
        """
        name = checked_name(model)
        async with self._or_refusal(name, "unloaded"), asyncio.timeout(self.answer_s):
            await self._connection.client.generate(name, "", keep_alive=0)
            for _ in range(_UNLOAD_LOOKS):
                if not any(each.answers_to(name) for each in await ollama_models.loaded_models(self._connection)):
                    break
                await asyncio.sleep(_UNLOAD_PAUSE_S)
        self._health.models_changed()

    def choose_default(self, model: str) -> None:
        """Make this the default model. Raises CoreError for text that is no name."""
        self._configured = checked_name(model)
        self._health.models_changed()

    @asynccontextmanager
    async def _or_refusal(self, name: str, done: str) -> AsyncIterator[None]:
        """Raise any error as the CoreError of `_refusal`."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (whatever is wrong, one line of it)
            raise await self._refusal(name, done, error) from None

    def _fault(self, error: Exception, *, started: bool) -> Fault:
        """Return the fault of `error`, without the key, which a server may repeat."""
        fault = fault_of(error, self.address.label, started=started)
        return replace(fault, reason=redact(fault.reason, self._key))

    async def _refusal(self, name: str, done: str, error: Exception, *, started: bool = False) -> CoreError:
        """Return the error for the user: the model, what was not done, and why; with a near name for a missing one."""
        where = self.address.label
        if isinstance(error, ConnectionError) and isinstance(error.__context__, httpx.ConnectError):
            error = error.__context__  # the client puts advice in place of the cause
        fault = self._fault(error, started=started)
        if fault.kind is FaultKind.UNREACHABLE:
            self._health.fail("down", fault.reason)
        elif started and isinstance(error, httpx.TransportError | OSError):
            self._health.fail("suspect", fault.reason)  # the server may be gone, so it is asked at once
        reason = f"{fault.reason}; pull it again, it resumes there" if started else fault.reason
        if isinstance(error, ollama.ResponseError):
            said = redact(one_line(str(error.error), 300), self._key)
            unknown = "manifest" in said and "file does not exist" in said
            reason = f"the library has no such model ({said})" if unknown else f"{said} (Ollama at {where})"
        elif fault.kind is FaultKind.NO_MODEL:
            self._health.models_changed()
            near = await self._nearest(name)
            reason = f"{reason}; did you mean {near}?" if near else f"{reason} at Ollama at {where}"
        return CoreError(one_line(f"{name} was not {done}: {reason}"))

    async def _nearest(self, name: str) -> str | None:
        """Return the installed name most like this one; None if none is alike, or the server does not answer."""
        with suppress(Exception):  # it is only a hint
            async with asyncio.timeout(self.answer_s):
                names = [model.name for model in await ollama_models.installed_models(self._connection)]
                return nearest_model(name, names)
        return None


def checked_name(model: str) -> str:
    """Check a model's name and strip it. Raises CoreError for text that is no name."""
    name = model.strip()
    if not name or len(name) > 300 or any(c.isspace() for c in name) or sanitise(name) != name:
        raise CoreError(f"'{one_line(model, 80)}' is not the name of a model; one is written like qwen3:8b")
    return name


def keep_alive_value(keep_alive: str | None) -> str | float | None:
    """Convert to the server's form: a number is seconds, a text has a unit."""
    try:
        seconds = float(keep_alive or "")
    except ValueError:
        return keep_alive
    return seconds if math.isfinite(seconds) else keep_alive


def _details(info: ModelInfo, shown: _Shown) -> ModelDetails:
    """Combine both answers. `facts` are the model file's own fields that fit on a line each."""
    facts = {"format": shown.details.format} if shown.details.format else {}
    for key, value in list(shown.model_info.items())[:_FACTS]:
        if isinstance(value, str | int | float) and value != "":
            facts[one_line(key, 100)] = one_line(str(value), 200)
    if info.capabilities is None and shown.capabilities is not None:
        info = replace(info, capabilities=tuple(shown.capabilities))
    return ModelDetails(
        info=info,
        family=shown.details.family,
        parameter_size=shown.details.parameter_size,
        quantization=shown.details.quantization_level,
        template=shown.template,
        parameters=shown.parameters,
        license=shown.license,
        system=shown.system,
        modified_at=ollama_models.unix_seconds(shown.modified_at),
        facts=facts,
    )


def _progress(record: ollama.ProgressResponse, key: str | None) -> PullProgress:
    total = min(max(record.total or 0, 0), _MOST_BYTES)
    done = min(max(record.completed or 0, 0), total)
    return PullProgress(redact(one_line(record.status or "", 120), key), done, total)
