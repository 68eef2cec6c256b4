"""The Ollama core: chat and generate on an Ollama server over HTTP.

Wire format: newline-delimited JSON; the last record has `done: true` and the statistics, durations in nanoseconds. A
stream that ends without that record has failed, however cleanly it was closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import httpx

from engine.cores.addresses import Address
from engine.cores.http import LINE_CAP, StatusError, WireError
from engine.cores.ollama import models as ollama_models
from engine.cores.ollama.address import key_for, parse_address
from engine.cores.ollama.chat_stream import ChatStream
from engine.cores.ollama.faults import is_foreign, missing_model
from engine.cores.ollama.model_management import OllamaModelManager
from engine.cores.ollama.records import OllamaRecord
from engine.cores.ollama.requests import UnfitError
from engine.cores.ollama.slots import ServerSlots
from engine.cores.ollama.wire import Connection
from engine.cores.port import Attempt, CoreInfo, Done, Fault, FaultKind, ModelInfo, Outcome, Rejected, ToolCall
from engine.cores.server_core import ServerCore
from engine.cores.stream_call import Emit
from engine.sanitise import one_line

_SMALL_MODEL, _USUAL = "smollm2:135m", parse_address(None).label


class OllamaCore(OllamaModelManager, ServerCore):
    """One Ollama server, as a core with `slots` slots. Durations in seconds.

    Args:
        address: the server, as `parse_address` reads it; None for the usual place.
        slots: the number of requests it gets at a time. None: `OLLAMA_NUM_PARALLEL` in `environ` for a server on this
            machine, else it is learnt, see `engine.cores.ollama.slot_learning`.
        default_model: the model for tasks that name none; None to choose among the loaded and installed ones.
        connect_s: to reach the server. read_s: the longest silence in a stream, beyond what the kernel's timers allow.
        look_s: one inspection of versions and models.
        backoff: the first and the longest pause between probes while the server is down, and after it was busy.
        must_answer: `start` raises if the server does not answer; otherwise it waits for it with its slots down.
        one_model: its GPU holds one model at a time, so another one means a swap.
        environ: the process's environment, if it is to count; also for `OLLAMA_HOST` and `OLLAMA_API_KEY`.
        api_key: the key for this server, instead of the one in `environ`.
        why: the reason why it was chosen, for `inspect`.
    """

    _connection: Connection

    def __init__(
        self,
        address: Address | str | None = None,
        *,
        slots: int | None = None,
        name: str = "ollama",
        default_model: str | None = None,
        connect_s: float = 5.0,
        read_s: float = 1_800.0,
        look_s: float = 5.0,
        backoff: tuple[float, float] = (0.5, 15.0),
        line_cap: int = LINE_CAP,
        must_answer: bool = True,
        one_model: bool = False,
        environ: Mapping[str, str] | None = None,
        api_key: str | None = None,
        why: str = "",
    ) -> None:
        super().__init__(name, must_answer=must_answer)
        self.address = address if isinstance(address, Address) else parse_address(address)
        self.why, self._one_model = why, one_model
        self._configured, self._look_s = default_model, look_s
        self._key = api_key or key_for(self.address, environ or {})
        self._connection = Connection(
            self.address, key=self._key, connect_s=connect_s, read_s=read_s, line_cap=line_cap
        )
        self._slots = ServerSlots(name, self.address, slots, environ or {}, probe=self._why_down, backoff=backoff)
        self._health = self._slots.health
        self._default: str | None = None
        self._loaded: frozenset[str] = frozenset()

    def waiting_for(self, attempt: Attempt) -> str:
        model = attempt.model or self._configured or self._default
        if model is None or model in self._loaded:
            return ""
        return f"'{model}' was not in memory before, so it was still being loaded"

    async def inspect(self) -> CoreInfo:
        version = ""
        if self._stopped:
            return self._unhealthy(f"the {self.name} core is stopped")
        try:
            async with asyncio.timeout(self._look_s):
                version = await ollama_models.server_version(self._connection)
                installed = await ollama_models.installed_models(self._connection)
                loaded = await ollama_models.loaded_models(self._connection)
                default = await self._choose_default(installed, loaded)
        except Exception as error:  # noqa: BLE001  (the port promises a report, whatever is wrong)
            return self._unhealthy(self._failed(error, started=False, probed=bool(version)).reason)
        self._health.up()
        self._loaded = frozenset(name for model in loaded for name in (model.name, *model.aliases))
        problem = "" if default else self._no_model()
        if self._configured and not any(model.answers_to(self._configured) for model in installed):
            problem = (
                f"the default model '{self._configured}' is not installed; "
                f"run: aios-tui models pull {self._configured}{self._core_option()}"
            )
        return replace(
            self._unhealthy("; ".join(filter(None, (problem, ollama_models.version_warning(version))))),
            healthy=default is not None,
            models=ollama_models.describe(installed, loaded),
            version=version,
        )

    def _no_model(self) -> str:
        advice = f"fetch one, such as: aios-tui models pull {_SMALL_MODEL}{self._core_option()}"
        return f"Ollama at {self.address.label} has no model that can chat; {advice}"

    def _core_option(self) -> str:
        """Return the `--core` option that selects this core; empty if it is the default.

        A name that was made of the kind or the host of a form is unknown to `--core`; its address is not.
        """
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        names = (host, f"{host}:{urlsplit(self.address.url).port}")
        if self.name.partition("-")[0] != "ollama" and self.name not in names:
            return f" --core {self.name}"
        return "" if self.address.label == _USUAL else f" --core ollama@{self.address.label}"

    def _unhealthy(self, detail: str) -> CoreInfo:
        return CoreInfo(
            name=self.name,
            healthy=False,
            default_model=self._configured or self._default,
            where=self.address.label,
            why=self.why,
            detail=detail,
            kind="ollama",
            slots_from=self._slots.source,
            one_model=self._one_model,
        )

    async def probe(self, within_s: float) -> Fault | None:
        """Return None if an Ollama server answers within the given seconds, else the fault."""
        try:
            async with asyncio.timeout(within_s):
                await ollama_models.server_version(self._connection)
        except Exception as error:  # noqa: BLE001  (any failure is an answer here)
            return self._fault(error, started=False)
        return None

    async def _why_down(self) -> str | None:
        fault = await self.probe(self._look_s)
        return fault.reason if fault else None

    async def _choose_default(self, installed: Sequence[ModelInfo], loaded: Sequence[ModelInfo]) -> str | None:
        """Return the default model. It stays while it is installed, so that tasks don't make the server swap."""
        if self._configured:
            return self._configured
        if self._default is None or self._default not in {model.name for model in installed}:
            self._default = await ollama_models.choose_default(self._connection, installed, loaded)
        return self._default

    async def _default_model(self) -> str | None:
        if self._configured or self._default:
            return self._configured or self._default
        async with asyncio.timeout(self._look_s):
            installed = await ollama_models.installed_models(self._connection)
            return await self._choose_default(installed, await ollama_models.loaded_models(self._connection))

    async def _carry_out(self, attempt: Attempt, emit: Emit) -> Outcome:
        stream: ChatStream | None = None
        last: OllamaRecord | None = None
        model, key = attempt.model, attempt.key
        try:
            model = model or await self._default_model()
            if model is None:
                return Fault(FaultKind.NO_MODEL, self._no_model(), False)
            stream = ChatStream(self._connection, model, attempt, self._slots.begun(key, model))
            last = await stream.run(emit)
            if last is not None:
                return self._done(model, last, stream.calls)
        except UnfitError as error:
            return Fault(FaultKind.BAD_REQUEST, str(error), False)
        except Exception as error:  # noqa: BLE001  (the port promises an outcome, whatever is wrong)
            fault = self._failed(error, started=stream is not None and stream.started)
            if fault.kind is FaultKind.BUSY:
                self._slots.full(key, fault.reason)
                return Rejected(fault.reason)
            return await self._missing(attempt, model or "", fault) if fault.kind is FaultKind.NO_MODEL else fault
        finally:
            self._slots.ended(key, last)
        return self._broke_off(f"Ollama at {self.address.label} ended the stream without its final record")

    def _done(self, model: str, last: OllamaRecord, calls: Sequence[ToolCall]) -> Done:
        self._slots.answered()
        if model not in self._loaded:
            self._loaded |= {model, *ollama_models.aliases(model)}
            self._health.models_changed()
        reason = last.done_reason or "stop"
        reason = "tool_calls" if calls and reason == "stop" else one_line(reason, 50)
        return Done(last.model or model, last.usage(), reason, tuple(calls))

    def _failed(self, error: Exception, *, started: bool, probed: bool = False) -> Fault:
        """Return the fault of `error`, after the slots were changed by it.

        Another server at the address where Ollama was may be a restart: the slots wait for Ollama. `probed`: it passed
        for Ollama a moment ago, so a probe would find nothing new.
        """
        fault = self._fault(error, started=started)
        if fault.kind is FaultKind.UNREACHABLE:
            self._slots.gone(fault.reason)
        elif is_foreign(fault):
            fault = replace(fault, retryable=True)
            if not probed:
                self._slots.gone(fault.reason)
        elif fault.kind is FaultKind.BROKEN_STREAM:
            self._health.fail("suspect", fault.reason)
        return fault

    async def _missing(self, attempt: Attempt, model: str, fault: Fault) -> Fault:
        """Return the fault of a missing model, with the models that are there.

        If the model was the core's own choice, the next attempt can choose another one.
        """
        ours = attempt.model is None and self._configured is None
        self._default = None if ours else self._default
        try:
            async with asyncio.timeout(self._look_s):
                installed = await ollama_models.installed_models(self._connection)
        except (httpx.HTTPError, OSError, StatusError, WireError):
            return replace(fault, retryable=ours, model=model)
        self._health.models_changed()
        names = [each.name for each in installed if each.chats]
        return Fault(fault.kind, missing_model(model, self.address.label, names, self._core_option()), ours, model)
