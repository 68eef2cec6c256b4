"""The records of an OpenAI-compatible server's stream, and their conversion to chunks and an outcome.

Format: https://platform.openai.com/docs/api-reference/chat-streaming, and what other servers add to it: thoughts in
`reasoning_content` or `reasoning`, times in `timings` (llama.cpp) or in `usage` (Groq).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from engine.cores.http import WireError
from engine.cores.openai.presets import Quirks
from engine.cores.port import Chunk, Done, ToolCall, Usage
from engine.cores.tool_arguments import check_json
from engine.llm_query import clean_json
from engine.sanitise import one_line, sanitise

DONE = "[DONE]"
_MAX_CALLS = 256
_MAX_ARGUMENTS = 1 << 20

Count = Annotated[int, BeforeValidator(lambda value: 0 if value is None else value), Field(ge=0, lt=1 << 53)]
Seconds = Annotated[float, BeforeValidator(lambda value: 0.0 if value is None else value), Field(ge=0, lt=1e9)]


class _Function(BaseModel):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(BaseModel):
    """A piece of a call. `extra_content` is Gemini's: it wants its signature of a call back with the call."""

    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: dict[str, Any] | None = None


class _Delta(BaseModel):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    """`delta` of a stream, `message` of a whole answer, `text` of a completion."""

    index: int | None = None
    delta: _Delta | None = None
    message: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Usage(BaseModel):
    """Times are Groq's, in seconds."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    prompt_time: Seconds = 0.0
    completion_time: Seconds = 0.0


class _Timings(BaseModel):
    """llama.cpp's, in milliseconds."""

    prompt_ms: Seconds = 0.0
    predicted_ms: Seconds = 0.0


class _Progress(BaseModel):
    """llama.cpp's: tokens of the prompt that have been read, of how many."""

    total: Count = 0
    processed: Count = 0


class _Groq(BaseModel):
    usage: _Usage | None = None
    error: Any = None


class ChunkRecord(BaseModel):
    """One event of a stream, or a whole answer."""

    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    prompt_progress: _Progress | None = None
    x_groq: _Groq | None = None


class BadCallError(WireError):
    """A model's call of a tool makes no sense; another answer may."""


class MidstreamError(Exception):
    """An error object in place of a record. `error` is that object as it came."""

    def __init__(self, error: Any) -> None:
        super().__init__("the server sent an error")
        self.error = error


def read_record(data: str) -> ChunkRecord:
    """Return what an event holds. Raises MidstreamError for an error, WireError for what is no record."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError(f"an event is not JSON: {one_line(data[:200], 60)}") from None
    if not isinstance(parsed, dict):
        raise WireError(f"an event is not a JSON object: {one_line(data[:200], 60)}")
    if parsed.get("error"):
        raise MidstreamError(parsed["error"])
    if parsed.get("object") == "error":
        raise MidstreamError(parsed)
    if "\\ud" in data.lower():  # half of a pair is no character, and pydantic refuses it
        try:
            parsed = clean_json(parsed)
        except ValueError:
            raise WireError("an event is nested too deep") from None
    try:
        record = ChunkRecord.model_validate(parsed)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise WireError(f"an event has the wrong shape at '{one_line(place, 60)}'") from None
    if record.x_groq is not None and record.x_groq.error:
        raise MidstreamError(record.x_groq.error)
    return record


@dataclass(slots=True)
class _Pending:
    """A tool's call as its pieces come in."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: Mapping[str, Any] | None = None


class StreamedAnswer:
    """Collects a stream. `now` is a monotonic clock in seconds, for servers that report no times of their own.

    Attributes:
        finished: the server said why it stopped, or that this was all.
    """

    def __init__(self, quirks: Quirks, asked_at: float) -> None:
        self._quirks, self._asked_at = quirks, asked_at
        self._first_at: float | None = None
        self._last_at = asked_at
        self._calls: dict[int, _Pending] = {}
        self._usage, self._timings = _Usage(), _Timings()
        self._choices = 0
        self._end_reported = False
        self.model = ""
        self.reason = ""

    @property
    def started(self) -> bool:
        return self._choices > 0

    @property
    def finished(self) -> bool:
        return bool(self.reason) or (self._end_reported and self.started)

    def end(self) -> None:
        """Report the server's end of the stream."""
        self._end_reported = True

    def add(self, record: ChunkRecord, now: float) -> list[Chunk]:
        """Add a record; return its texts in order. Raises WireError past the bounds."""
        usage = record.usage or (record.x_groq.usage if record.x_groq else None)
        self._usage, self._timings = usage or self._usage, record.timings or self._timings
        self.model = record.model or self.model
        chunks: list[Chunk] = []
        if record.prompt_progress is not None and not self._first_at:
            read, total = record.prompt_progress.processed, record.prompt_progress.total
            chunks.append(Chunk("progress", tokens=0, done=min(read, total), total=total))
        for choice in record.choices or ():
            if choice.index not in (None, 0):
                continue
            self._choices += 1
            self.reason = choice.finish_reason or self.reason
            chunks += self._texts(choice)
        if any(chunk.text for chunk in chunks) or (record.choices and self._calls):
            self._first_at, self._last_at = self._first_at or now, now
        return chunks

    def _texts(self, choice: _Choice) -> list[Chunk]:
        delta = choice.delta or choice.message or _Delta()
        for piece in delta.tool_calls or ():
            self._add_call(piece)
        thought = next((text for name in self._quirks.thinking if (text := getattr(delta, name))), None)
        text = (delta.content or "") + (delta.refusal or "") + (choice.text or "")
        pairs: tuple[tuple[Literal["thinking", "text"], str | None], ...] = (("thinking", thought), ("text", text))
        return [Chunk(kind, sanitise(words.replace("\r", ""))) for kind, words in pairs if words]

    def _add_call(self, piece: _Call) -> None:
        function = piece.function or _Function()
        index = self._index_of(piece) if piece.index is None else piece.index
        if index not in self._calls and len(self._calls) >= _MAX_CALLS:
            raise WireError(f"the answer has more than {_MAX_CALLS} tool calls")
        call = self._calls.setdefault(index, _Pending())
        call.id = call.id or (piece.id or "")
        call.name = call.name or (function.name or "")
        call.extra = call.extra or piece.extra_content
        arguments = function.arguments
        call.arguments += _text_of(arguments) if isinstance(arguments, Mapping) else arguments or ""
        if len(call.arguments) > _MAX_ARGUMENTS:
            raise WireError(f"the arguments of a tool call are longer than {_MAX_ARGUMENTS} characters")

    def _index_of(self, piece: _Call) -> int:
        """Return the index of a piece that has none (Gemini): by its id, a new call, or the last call."""
        last = max(self._calls, default=-1)
        if piece.id:
            return next((index for index, call in self._calls.items() if call.id == piece.id), last + 1)
        named = piece.function is not None and bool(piece.function.name)
        return last + 1 if named or last < 0 else last

    @property
    def extras(self) -> dict[str, Mapping[str, Any]]:
        """The fields that have to be sent back with a call, by the call's id."""
        return {call.id: call.extra for call in self._calls.values() if call.id and call.extra}

    def done(self, model: str) -> Done:
        """Return the outcome of a finished answer by `model`. Raises BadCallError for invalid tool calls."""
        calls = tuple(_call(self._calls[index]) for index in sorted(self._calls))
        reason = one_line(self.reason or "stop", 50)
        # Gemini says `stop` all the same, and `function_call` is an old name.
        return Done(
            model, self._cost(), "tool_calls" if calls and reason in ("stop", "function_call") else reason, calls
        )

    def _cost(self) -> Usage:
        """Return tokens as the server counts them, 0 if it does not; its times, or those measured here."""
        usage, timings = self._usage, self._timings
        first_at = self._asked_at if self._first_at is None else self._first_at
        return Usage(
            tokens_in=usage.prompt_tokens,
            tokens_out=usage.completion_tokens,
            prefill_s=usage.prompt_time or timings.prompt_ms / 1e3 or first_at - self._asked_at,
            decode_s=usage.completion_time or timings.predicted_ms / 1e3 or self._last_at - first_at,
        )


def _text_of(arguments: Mapping[str, Any]) -> str:
    try:
        check_json(arguments)
    except ValueError as error:
        raise BadCallError(f"the arguments of a tool call can't be used: {error}") from None
    return json.dumps(arguments)


def _call(pending: _Pending) -> ToolCall:
    try:
        arguments = clean_json(json.loads(pending.arguments)) if pending.arguments.strip() else {}
        check_json([arguments, pending.extra])
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict) or not pending.name:
        name, said = one_line(pending.name, 60), one_line(pending.arguments[:200], 60)
        raise BadCallError(f"the arguments of the tool call '{name}' are not a JSON object that can be sent: {said}")
    return ToolCall(one_line(pending.name, 200), arguments, one_line(pending.id, 200))
