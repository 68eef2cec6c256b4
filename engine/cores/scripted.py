"""A deterministic core: words from the seed and the prompt, timing from its options. For tests, demos and load."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, ValidationError

from engine.cores.event_feed import EventFeed
from engine.cores.options import OptionCheck, messages_of
from engine.cores.port import (
    Attempt,
    Cancelled,
    Chunk,
    CoreInfo,
    Done,
    Fault,
    FaultKind,
    ModelInfo,
    Outcome,
    Slot,
    SlotEvent,
    Usage,
)
from engine.errors import UsageError

# fmt: off
WORDS = (
    "the", "a", "one", "every", "quiet", "old", "bright", "small", "last", "first", "river", "goose", "baker",
    "morning", "window", "answer", "question", "letter", "garden", "engine", "clock", "harbour", "winter", "stone",
    "paper", "light", "road", "table", "signal", "memory", "story", "found", "kept", "opened", "followed",
    "carried", "wrote", "turned", "asked", "waited", "remembered", "and", "but", "so", "then", "while", "because",
    "until", "again", "slowly", "never",
)
# fmt: on

Share = Annotated[float, Field(ge=0, le=1)]


class ScriptedOptions(BaseModel):
    """The `KEY=VALUE` parts after `scripted:`, all optional.

    Attributes:
        seed: seed of the words and of the failures. slots: number of attempts at a time.
        ttft: seconds to the first token. tps: tokens a second after it; 0 for no pause.
        tokens: length of a reply. fail: share of prompts that always fail.
        cut, stall: share of attempts whose stream breaks off, or stops for ever; another attempt may succeed.
        model: the model's name. models: several names, `a|b`, of which `model` or the first is the default.
        load: seconds to load a model; with it the core holds `memory` models at a time, and none at the start.
        memory: models in memory at a time; to load one more, the one used least recently leaves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    slots: PositiveInt = Field(default=1, le=1024)
    ttft: NonNegativeFloat = 0.005
    tps: NonNegativeFloat = 1000.0
    tokens: PositiveInt = Field(default=20, le=1_000_000)
    fail: Share = 0.0
    cut: Share = 0.0
    stall: Share = 0.0
    model: str = Field(default="", max_length=200)
    models: str = Field(default="", max_length=2_000)
    load: NonNegativeFloat = 0.0
    memory: PositiveInt = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names, the default one first."""
        several = [name for name in (self.model, *self.models.split("|")) if name]
        return tuple(dict.fromkeys(several)) or ("scripted",)


@dataclass(frozen=True, slots=True)
class _Script:
    """One attempt, decided beforehand: its tokens, and after how many of them it is cut or stalls."""

    tokens: tuple[Chunk, ...]
    tokens_in: int
    fails: bool
    cut_after: int | None
    stall_after: int | None


class ScriptedCore:
    """Implements `Core` without a model."""

    why = ""
    """The reason why it was chosen, for `inspect`."""

    def __init__(self, options: ScriptedOptions | None = None, *, name: str = "scripted") -> None:
        self.options = options or ScriptedOptions()
        self.name = name
        self._slots = tuple(Slot(f"{name}/{n}", name) for n in range(self.options.slots))
        self._running: dict[tuple[int, int, int], asyncio.Future[None]] = {}
        self._stopped = False
        self._held: dict[str, float] = {}  # by model, when its load is over; least recently used first
        self._feed = EventFeed()
        self._options = OptionCheck(name, lambda text: self._feed.publish(SlotEvent("notice", None, text)))

    @classmethod
    def parse(cls, text: str, *, slots: int | None = None) -> ScriptedCore:
        """Make the core that `seed=1,ttft=0.01,…` describes. Raises UsageError naming what is wrong."""
        values: dict[str, str | int] = {} if slots is None else {"slots": slots}
        for part in filter(None, (part.strip() for part in text.split(","))):
            key, equals, value = part.partition("=")
            if not equals:
                raise UsageError(f"core scripted:{text}: {part!r} is not of the form key=value")
            values[key.strip()] = value.strip()
        try:
            return cls(ScriptedOptions.model_validate(values))
        except ValidationError as error:
            first = error.errors()[0]
            known = ", ".join(ScriptedOptions.model_fields)
            where = ".".join(str(part) for part in first["loc"])
            what = f"unknown option, known are {known}" if first["type"] == "extra_forbidden" else first["msg"]
            raise UsageError(f"core scripted:{text}: {where}: {what}") from None

    async def start(self) -> None:
        return

    async def stop(self, *, drain_s: float) -> None:
        if self._running and drain_s > 0:
            await asyncio.wait(list(self._running.values()), timeout=drain_s)
        self._stopped = True
        self._feed.close()
        for stop in self._running.values():
            if not stop.done():
                stop.set_result(None)

    def slots(self) -> Sequence[Slot]:
        return self._slots

    def events(self) -> AsyncIterator[SlotEvent]:
        """Notices of ignored options: its slots never change."""
        return self._feed.events()

    async def cancel(self, attempt: Attempt) -> None:
        stop = self._running.get(attempt.key)
        if stop is not None and not stop.done():
            stop.set_result(None)

    async def inspect(self) -> CoreInfo:
        stopped, options = self._stopped, self.options
        loaded = () if stopped else self._held if options.load else options.names
        models = [ModelInfo(name, loaded=name in loaded, detail="scripted words") for name in options.names]
        return CoreInfo(
            name=self.name,
            healthy=not stopped,
            default_model=options.names[0],
            models=tuple(models),
            where="in process",
            why=self.why,
            detail="stopped" if stopped else "",
            one_model=options.load > 0 and options.memory == 1,
        )

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        options = self.options
        model = attempt.model or options.names[0]
        if model not in options.names:
            reason = f"model '{attempt.model}' not found; installed: {', '.join(options.names)}"
            yield Fault(FaultKind.NO_MODEL, reason, retryable=False, model=attempt.model)
            return
        if self._stopped:
            yield Fault(FaultKind.UNREACHABLE, f"{self.name}: the core is stopped", retryable=False)
            return
        admitted = self._options.admit(attempt, lacking_options(attempt))
        if isinstance(admitted, Fault):
            yield admitted
            return
        script = self._script(admitted)
        loop = asyncio.get_running_loop()
        stop = self._running[attempt.key] = loop.create_future()
        load_s = self._load(model, loop.time())
        started_at = loop.time() + load_s
        try:
            for number, token in enumerate(script.tokens):
                if number == script.stall_after:
                    await stop
                due = started_at + options.ttft + (number / options.tps if options.tps else 0.0)
                if await _stopped_before(stop, due - loop.time()):
                    yield Cancelled()
                    return
                if script.fails:
                    yield Fault(FaultKind.SERVER, "scripted: this prompt fails", retryable=False)
                    return
                if number == script.cut_after:
                    return
                yield token
            decode_s = loop.time() - started_at - options.ttft
            usage = Usage(script.tokens_in, len(script.tokens), load_s, options.ttft, decode_s)
            yield Done(model, usage)
        finally:
            del self._running[attempt.key]
            if not stop.done():
                stop.set_result(None)

    def _load(self, model: str, now: float) -> float:
        """Start to load the model if it is not in memory; return the seconds until it is."""
        if not self.options.load:
            return 0.0
        loaded_at = self._held.pop(model, now + self.options.load)
        while len(self._held) >= self.options.memory:
            del self._held[next(iter(self._held))]
        self._held[model] = loaded_at
        return max(0.0, loaded_at - now)

    def _script(self, attempt: Attempt) -> _Script:
        options = self.options
        prompt = "\n".join(message.content for message in messages_of(attempt))
        seed = f"{options.seed}\0{prompt}".encode("utf-8", "replace")
        by_prompt = random.Random(hashlib.sha256(seed).digest())
        fails = by_prompt.random() < options.fail
        length = min(options.tokens, attempt.options.max_tokens or options.tokens)
        words = [f"{by_prompt.choice(WORDS)} " for _ in range(length)]
        words[-1] = words[-1].rstrip() + "."
        thoughts = length // 4 if attempt.options.think else 0
        if attempt.options.format:
            words[thoughts] = f'{{"reply": "{words[thoughts]}'
            words[-1] += '"}'
        replies = _before_stop(words[thoughts:], attempt.options.stop or ())
        tokens = [Chunk("thinking", word) for word in words[:thoughts]] + [Chunk("text", word) for word in replies]
        # Transient failures depend on the attempt, too, so that another one may succeed.
        by_attempt = random.Random(hashlib.sha256(seed + f"\0{attempt.round}\0{attempt.number}".encode()).digest())
        cut_after = by_attempt.randrange(length) if by_attempt.random() < options.cut else None
        stall_after = by_attempt.randrange(length) if by_attempt.random() < options.stall else None
        return _Script(tuple(tokens), len(prompt.split()), fails, cut_after, stall_after)


def lacking_options(attempt: Attempt) -> dict[str, str]:
    """Return the options that the scripted core cannot honour, each with the reason, for `OptionCheck.admit`."""
    words = "its words come from its own seed and the prompt"
    lacking = dict.fromkeys(("temperature", "seed", "top_k", "top_p", "min_p", "repeat_penalty"), words)
    lacking |= dict.fromkeys(("num_ctx", "keep_alive"), "it has no model")
    lacking["tools"] = "it calls none"
    if isinstance(attempt.options.format, dict):
        lacking["format"] = "it writes JSON, but to no schema"
    return lacking


def _before_stop(words: Sequence[str], stops: Sequence[str]) -> list[str]:
    """Return the words of the reply up to the first of the texts `stops`."""
    text = "".join(words)
    end = min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))
    starts = accumulate(map(len, words), initial=0)
    return [word[: end - start] for start, word in zip(starts, words, strict=False) if start < end]


async def _stopped_before(stop: asyncio.Future[None], seconds: float) -> bool:
    """Wait `seconds`, or until `stop` is set; return True if it is set. Always lets other tasks run."""
    if seconds > 0 and not stop.done():
        await asyncio.wait({stop}, timeout=seconds)
    else:
        await asyncio.sleep(0)
    return stop.done()
