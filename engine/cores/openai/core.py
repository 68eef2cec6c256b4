"""The OpenAI-compatible core: vLLM, SGLang, llama.cpp, LM Studio, TGI, and hosted providers, by the official client.

Wire format: server-sent events. A stream that ends without a `finish_reason` or `[DONE]` has failed, however cleanly
it was closed. The transport alone knows the key, and the key is removed from all texts of a server.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import httpx
from pydantic import SecretStr

from engine.cores.api_keys import FILE_NAME, checked_key, redact
from engine.cores.http import LINE_CAP, StatusError, WireError
from engine.cores.openai import records, requests
from engine.cores.openai.address import parse_base_url
from engine.cores.openai.chat_stream import ChatClient
from engine.cores.openai.faults import ServerName, outcome_of, rest_of
from engine.cores.openai.models import ServerModels
from engine.cores.openai.presets import Preset, Quirks
from engine.cores.openai.wire import Connection
from engine.cores.options import OptionCheck
from engine.cores.port import Attempt, CoreInfo, Done, Fault, FaultKind, Outcome, Rejected
from engine.cores.server_core import ServerCore
from engine.cores.slot_health import SlotHealth
from engine.cores.stream_call import Emit
from engine.sanitise import one_line


class OpenAICore(ServerCore):
    """One server or provider, as a core with `slots` slots. Durations in seconds.

    Args:
        base_url: as `parse_base_url` reads it, such as `http://127.0.0.1:8000/v1`.
        key: its access key, None for a server that needs none.
        slots: the number of requests it gets at a time.
        default_model: the model for tasks that name none; None for the preset's, or the first one listed.
        priority: send the task's priority, for a vLLM that was started with `--scheduling-policy priority`.
        preset: the server's peculiarities; None for a server of unknown kind.
        must_answer: `start` raises if the server does not answer; otherwise it waits for it with its slots down.
        why: the reason why it was chosen, for `inspect`.
        key_env: the variable to name if a key is missing or wrong; the preset's unless given.
        connect_s: to reach the server. read_s: the longest silence in a stream, beyond what the kernel's timers allow.
        look_s: one inspection of the models. backoff: the first and the longest pause between probes while it is down.

    Raises:
        UsageError: a bad address or key. CoreError: the official client is not installed.
    """

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        key: str | None = None,
        slots: int = 4,
        default_model: str | None = None,
        priority: bool = False,
        preset: Preset | None = None,
        must_answer: bool = True,
        why: str = "",
        key_env: str | None = None,
        connect_s: float = 5.0,
        read_s: float = 1_800.0,
        look_s: float = 10.0,
        backoff: tuple[float, float] = (0.5, 15.0),
        line_cap: int = LINE_CAP,
    ) -> None:
        super().__init__(name, must_answer=must_answer)
        self.why = why
        self.address = parse_base_url(base_url)
        key_env = key_env or (preset.key_env if preset else None) or ""
        self._key = SecretStr(checked_key(key, key_env or "the key")) if key else None
        self._look_s = look_s
        self._quirks = preset.quirks if preset else Quirks()
        self._hosted = bool(preset and preset.hosted)
        self._title = preset.title if preset else "the server"
        self._server = ServerName(f"{self._title} at {self.address.label}", key_env)
        self._connection = Connection(
            self.address.url, self._key, connect_s=connect_s, read_s=read_s, line_cap=line_cap
        )
        configured = default_model or (preset.default_model if preset else None)
        self._models = ServerModels(self._connection, self._quirks, configured, self._clean)
        self._chat = ChatClient(self._connection, self._quirks, self._key, priority=priority)
        self._health = SlotHealth(name, max(1, slots), self._why_down, backoff=backoff)
        self._options = OptionCheck(name, self._health.notice)

    # Looking at it

    async def inspect(self) -> CoreInfo:
        if self._stopped:
            return self._info(False, f"the {self.name} core is stopped")
        reason = await self._why_down()
        if reason is not None:
            return self._info(False, reason)
        self._health.up()
        problem = self._models.problem()
        notes = (f"{self._server.who}: {problem}" if problem else "", self._exposed())
        return self._info(self._models.usable(), "; ".join(filter(None, notes)))

    def _info(self, healthy: bool, detail: str) -> CoreInfo:
        return CoreInfo(
            name=self.name,
            healthy=healthy,
            default_model=self._models.default(),
            models=self._models.models,
            where=self.address.label,
            why=self.why,
            detail=detail,
            kind="openai",
            slots_from="configured",
        )

    def _exposed(self) -> str:
        exposed = self._key is not None and not self.address.private
        return "its key goes over an unencrypted connection; use https" if exposed else ""

    async def _why_down(self) -> str | None:
        """List the models. Return None if the server answers as it should, else the reason, without the key."""
        if self._hosted and self._key is None:
            return f"{self._server.who} needs a key; {self._server.set_key} in the environment or in {FILE_NAME}"
        try:
            await self._refresh()
        except Exception as error:  # noqa: BLE001  (any failure is an answer here)
            return self._outcome(error, started=False).reason
        return None

    async def _refresh(self) -> None:
        async with asyncio.timeout(self._look_s):
            changed = await self._models.refresh()
        if changed:
            self._health.models_changed()

    # Running

    async def _carry_out(self, attempt: Attempt, emit: Emit) -> Outcome:
        answer = self._chat.new_answer()
        admitted = self._options.admit(attempt, requests.lacking_options(attempt, self._quirks, self._title))
        if isinstance(admitted, Fault):
            return admitted
        attempt = admitted
        try:
            model = attempt.model or self._models.default()
            if model is None:
                await self._refresh()
                model = self._models.default()
            refusal = await self._refusal(attempt, model)
            if model is None or refusal is not None:
                return refusal or Fault(FaultKind.NO_MODEL, f"{self._server.who}: {self._models.no_default()}", False)
            await self._chat.stream(attempt, model, answer, emit)
            if answer.finished:
                return self._done(answer, model)
        except Exception as error:  # noqa: BLE001  (the port promises an outcome, whatever is wrong)
            return await self._failed(error, attempt, started=answer.started)
        return self._broke_off(f"{self._server.who} ended the stream without saying why it stopped")

    async def _refusal(self, attempt: Attempt, model: str | None) -> Fault | None:
        """Return the fault of a name that the server does not list but would answer to; else None."""
        if model is None or attempt.model is None or not self._quirks.ignores_model or not self._quirks.lists_models:
            return None
        if not self._models.has(model):
            await self._refresh()
        if self._models.has(model):
            return None
        reason = f"model '{one_line(model, 100)}' not found; {self._models.names()}"
        return Fault(FaultKind.NO_MODEL, reason, False, model)

    def _done(self, answer: records.StreamedAnswer, model: str) -> Done | Fault:
        if answer.reason in ("error", "insufficient_system_resource"):
            return Fault(FaultKind.SERVER, f"{self._server.who} gave up in mid-answer ({answer.reason})", True)
        self._health.up()
        return self._chat.done(answer, model)

    async def _failed(self, error: Exception, attempt: Attempt, *, started: bool) -> Fault | Rejected:
        """Return the outcome of `error`, after the slots were changed by it."""
        outcome = self._outcome(error, started=started)
        if isinstance(outcome, Rejected) or (isinstance(error, StatusError) and outcome.kind is FaultKind.BUSY):
            self._health.rest(rest_of(error) if isinstance(error, StatusError) else 0.0, outcome.reason)
        elif outcome.kind is FaultKind.UNREACHABLE:
            self._health.fail("down", outcome.reason)
        elif outcome.kind is FaultKind.BROKEN_STREAM and not isinstance(error, records.BadCallError):
            self._health.fail("suspect", outcome.reason)
        elif outcome.kind is FaultKind.REFUSED and isinstance(error, StatusError) and error.status == 401:
            self._health.fail("down", outcome.reason)
        elif outcome.kind is FaultKind.NO_MODEL:
            return await self._missing(attempt, outcome)
        return outcome

    async def _missing(self, attempt: Attempt, fault: Fault) -> Fault:
        """Return the fault of a missing model, with its name and the models that are there."""
        with suppress(httpx.HTTPError, OSError, StatusError, WireError):
            await self._refresh()
        model = attempt.model or self._models.default()
        asked = one_line(model or "", 100)
        reason = fault.reason if asked in fault.reason else f"model '{asked}' not found: {fault.reason}"
        return replace(fault, reason="; ".join(filter(None, (reason, self._models.names()))), model=model)

    def _outcome(self, error: Exception, *, started: bool) -> Fault | Rejected:
        outcome = outcome_of(error, self._server, started=started)
        return replace(outcome, reason=self._clean(outcome.reason))

    def _clean(self, text: str) -> str:
        return redact(text, self._key.get_secret_value() if self._key else None)
