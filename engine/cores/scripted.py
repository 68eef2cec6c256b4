"""A deterministic core: words from the seed and the prompt, timing from its options. For tests, demos and load."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, ValidationError

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
    """What follows `scripted:`, all optional.

    Attributes:
        seed: of the words and of what goes wrong. slots: how many attempts at once.
        ttft: seconds to the first token. tps: tokens a second after it, 0 for as fast as it goes.
        tokens: a reply's length. fail: share of prompts that always fail.
        cut, stall: share of attempts whose stream breaks off, or never goes on; another attempt may do better.
        model: the model's name. models: several names, `a|b`, of which `model` or the first is the default.
        load: seconds to load a model; with it the core holds one at a time, and none at the start.
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

    @property
    def names(self) -> tuple[str, ...]:
        """Its models, the default one first."""
        several = [name for name in (self.model, *self.models.split("|")) if name]
        return tuple(dict.fromkeys(several)) or ("scripted",)


@dataclass(frozen=True, slots=True)
class _Script:
    """One attempt, decided beforehand: its words, and after how many of them what happens to it."""

    words: tuple[str, ...]
    tokens_in: int
    fails: bool
    cut_after: int | None
    stall_after: int | None


class ScriptedCore:
    """Implements `Core` without a model. `name` may be given where a kernel has several."""

    why = ""
    """How it came to be chosen, for `inspect`."""

    def __init__(self, options: ScriptedOptions | None = None, *, name: str = "scripted") -> None:
        self.options = options or ScriptedOptions()
        self._name = name
        self._slots = tuple(Slot(f"{name}/{n}", name) for n in range(self.options.slots))
        self._running: dict[tuple[int, int, int], asyncio.Future[None]] = {}
        self._stopped = asyncio.Event()
        self._held: str | None = None  # the model in memory, or on its way there, where loading takes time
        self._held_from = 0.0
        self._news: tuple[SlotEvent, ...] = ()  # nothing ever happens to its slots

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

    @property
    def name(self) -> str:
        return self._name

    async def start(self) -> None:
        return

    async def stop(self, *, drain_s: float) -> None:
        if self._running and drain_s > 0:
            await asyncio.wait(list(self._running.values()), timeout=drain_s)
        self._stopped.set()
        for stop in self._running.values():
            if not stop.done():
                stop.set_result(None)

    def slots(self) -> Sequence[Slot]:
        return self._slots

    async def events(self) -> AsyncIterator[SlotEvent]:
        await self._stopped.wait()
        for event in self._news:
            yield event

    async def cancel(self, attempt: Attempt) -> None:
        stop = self._running.get(_key(attempt))
        if stop is not None and not stop.done():
            stop.set_result(None)

    async def inspect(self) -> CoreInfo:
        stopped, options = self._stopped.is_set(), self.options
        models = [
            ModelInfo(name, loaded=not stopped and (not options.load or name == self._held), detail="scripted words")
            for name in options.names
        ]
        return CoreInfo(
            name=self._name,
            healthy=not stopped,
            default_model=options.names[0],
            models=tuple(models),
            where="in process",
            why=self.why,
            detail="stopped" if stopped else "",
            one_model=options.load > 0,
        )

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        options = self.options
        model = attempt.model or options.names[0]
        if model not in options.names:
            reason = f"model '{attempt.model}' not found; installed: {', '.join(options.names)}"
            yield Fault(FaultKind.NO_MODEL, reason, retryable=False, model=attempt.model)
            return
        if self._stopped.is_set():
            yield Fault(FaultKind.UNREACHABLE, f"{self._name}: the core is stopped", retryable=False)
            return
        script = self._script(attempt)
        loop = asyncio.get_running_loop()
        stop = self._running[_key(attempt)] = loop.create_future()
        load_s = self._load(model, loop.time())
        begun = loop.time() + load_s
        try:
            for number, word in enumerate(script.words):
                if number == script.stall_after:
                    await stop
                due = begun + options.ttft + (number / options.tps if options.tps else 0.0)
                if await _stopped_before(stop, due - loop.time()):
                    yield Cancelled()
                    return
                if script.fails:
                    yield Fault(FaultKind.SERVER, "scripted: this prompt fails", retryable=False)
                    return
                if number == script.cut_after:
                    return
                yield Chunk("text", word)
            usage = Usage(script.tokens_in, len(script.words), load_s, options.ttft, loop.time() - begun - options.ttft)
            yield Done(model, usage)
        finally:
            del self._running[_key(attempt)]
            if not stop.done():
                stop.set_result(None)

    def _load(self, model: str, now: float) -> float:
        """Have the model in memory; returns the seconds until it is."""
        if self.options.load and model != self._held:
            self._held, self._held_from = model, now + self.options.load
        return max(0.0, self._held_from - now)

    def _script(self, attempt: Attempt) -> _Script:
        options = self.options
        prompt = "\n".join(message.content for message in attempt.messages)
        seed = f"{options.seed}\0{prompt}".encode("utf-8", "replace")
        by_prompt = random.Random(hashlib.sha256(seed).digest())
        fails = by_prompt.random() < options.fail
        length = min(options.tokens, attempt.options.max_tokens or options.tokens)
        words = [f"{by_prompt.choice(WORDS)} " for _ in range(length)]
        words[-1] = words[-1].rstrip() + "."
        # What is transient hangs on the attempt too, so that another one may succeed.
        by_attempt = random.Random(hashlib.sha256(seed + f"\0{attempt.round}\0{attempt.number}".encode()).digest())
        return _Script(
            words=tuple(words),
            tokens_in=len(prompt.split()),
            fails=fails,
            cut_after=by_attempt.randrange(length) if by_attempt.random() < options.cut else None,
            stall_after=by_attempt.randrange(length) if by_attempt.random() < options.stall else None,
        )


def _key(attempt: Attempt) -> tuple[int, int, int]:
    return (attempt.task, attempt.round, attempt.number)


async def _stopped_before(stop: asyncio.Future[None], seconds: float) -> bool:
    """Wait `seconds`, less if stopped; whether it was. Always lets others run."""
    if seconds > 0 and not stop.done():
        await asyncio.wait({stop}, timeout=seconds)
    else:
        await asyncio.sleep(0)
    return stop.done()
