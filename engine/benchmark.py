"""Measure a core through its port: load time, time to first token, time per token, tokens/s at 1, 2, 4 … streams.

All times are measured here with a monotonic clock, in seconds; the server's own figures are not used. Prompts differ
from their first words on, so that no prompt cache can serve them.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated
from uuid import uuid4

from pydantic import Field

from engine.cores.model_management import model_manager_of
from engine.cores.port import Attempt, Chunk, Core, Done, Message, Slot
from engine.errors import CoreError
from engine.replay.synthetic_prompt import synthetic_prompt
from engine.task import GenerationOptions

MOST_STREAMS = 16
"""Highest number of streams tried when searching for the number that a server runs at a time."""
_NUMBERS = itertools.count(1)
Measured = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class BenchReply:
    """One measured attempt. Times are seconds of a monotonic clock.

    Attributes:
        tokens_in, tokens_out: as counted by the model; tokens_out is the number of streamed tokens if it gives none.
    """

    begun: float
    first: float
    last: float
    ended: float
    tokens_in: int
    tokens_out: int

    @property
    def ttft_s(self) -> float:
        return self.first - self.begun

    @property
    def tpot_s(self) -> float | None:
        """Seconds per token after the first (time per output token); None for replies of one token."""
        return (self.last - self.first) / (self.tokens_out - 1) if self.tokens_out > 1 else None


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, lowest and highest of some values, none of them negative."""

    median: Measured
    low: Measured
    high: Measured

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises ValueError if `values` is empty."""
        found = sorted(values)
        if not found:
            raise ValueError("nothing was measured")
        return cls(median(found), found[0], found[-1])


@dataclass(frozen=True, slots=True)
class Level:
    """The results for one number of concurrent streams.

    Attributes:
        ttft_s: from dispatch to first token. tpot_s: time per token after the first.
        stream_tps: tokens/s of one stream after its first token.
        total_tps: tokens/s of all streams, from the first dispatch to the last end; one value per run.
        prompt_tps: prompt tokens/s: prompt tokens over TTFT.
        at_once: the largest number of streams that generated at the same time, over all runs.
        tokens_in, tokens_out: medians per reply.
    """

    streams: Annotated[int, Field(ge=1)]
    runs: Annotated[int, Field(ge=1)]
    ttft_s: Spread
    tpot_s: Spread
    stream_tps: Spread
    total_tps: Spread
    prompt_tps: Spread
    at_once: int
    tokens_in: float
    tokens_out: float


@dataclass(frozen=True, slots=True)
class Work:
    """One measurement: `runs` × a reply of `tokens` to a prompt of about `prompt_tokens`. Limits in seconds or None."""

    model: str
    tokens: int = 64
    prompt_tokens: int = 128
    runs: int = 3
    first_token_s: float | None = None
    gap_s: float | None = None


async def load_time(core: Core, model: str) -> float | None:
    """Seconds to load a model that is not in memory; None if the core can't unload models.

    Raises:
        CoreError: the server refuses.
    """
    keeper = model_manager_of(core)
    if keeper is None:
        return None
    await keeper.unload(model)
    return await keeper.load(model)


async def measure(core: Core, streams: int, work: Work) -> AsyncIterator[list[BenchReply]]:
    """Run `streams` attempts at a time, `work.runs` times; yields the replies of each run. See `level`.

    Raises:
        CoreError: an attempt failed.
    """
    for _ in range(work.runs):
        yield await _batch(core, streams, work)


async def warm_up(core: Core, work: Work) -> None:
    """Run one short attempt, so that one-time costs are not measured. Raises CoreError."""
    short = Work(work.model, min(4, work.tokens), min(16, work.prompt_tokens), 1, work.first_token_s, work.gap_s)
    await _batch(core, 1, short)


def level(streams: int, batches: Sequence[Sequence[BenchReply]]) -> Level:
    """Summarise runs of `streams` replies each. Raises CoreError if no reply has two tokens."""
    replies = [reply for batch in batches for reply in batch]
    tpots = [tpot for reply in replies if (tpot := reply.tpot_s) is not None and tpot > 0]
    if not tpots:
        raise CoreError("the replies are too short to measure by; ask for more with --tokens")
    return Level(
        streams=streams,
        runs=len(batches),
        ttft_s=Spread.of(reply.ttft_s for reply in replies),
        tpot_s=Spread.of(tpots),
        stream_tps=Spread.of(1 / tpot for tpot in tpots),
        total_tps=Spread.of(_total(batch) for batch in batches),
        prompt_tps=Spread.of(reply.tokens_in / reply.ttft_s for reply in replies if reply.ttft_s > 0),
        at_once=max(overlap(batch) for batch in batches),
        tokens_in=median(reply.tokens_in for reply in replies),
        tokens_out=median(reply.tokens_out for reply in replies),
    )


def overlap(replies: Iterable[BenchReply]) -> int:
    """The largest number of replies generated at the same time. One that ends as another begins does not count."""
    edges = sorted(edge for reply in replies for edge in ((reply.first, 1), (reply.last, -1)))
    return max(itertools.accumulate(step for _, step in edges), default=0)


def _total(batch: Sequence[BenchReply]) -> float:
    wall = max(reply.ended for reply in batch) - min(reply.begun for reply in batch)
    return sum(reply.tokens_out for reply in batch) / wall if wall > 0 else 0.0


async def _batch(core: Core, streams: int, work: Work) -> list[BenchReply]:
    """Run `streams` attempts at a time. If one fails, or the caller is cancelled, all are cancelled."""
    slots = core.slots()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_attempt(core, slots[n % len(slots)], work)) for n in range(streams)]
    except* CoreError as failed:
        raise CoreError(str(failed.exceptions[0])) from None
    return [task.result() for task in tasks]


async def _attempt(core: Core, slot: Slot, work: Work) -> BenchReply:
    number = next(_NUMBERS)
    prompt = f"{uuid4().hex[:8]}: {synthetic_prompt(work.prompt_tokens - 8)}"
    options = GenerationOptions(max_tokens=work.tokens, temperature=0.8, seed=number)
    attempt = Attempt(number, 1, 1, (Message("user", prompt),), work.model, options)
    begun = time.monotonic()
    moments: list[float] = []
    counted = 0
    stream = core.run(attempt, slot)
    try:
        while True:
            limit = work.gap_s if moments else work.first_token_s
            async with asyncio.timeout(limit):
                piece = await anext(stream)
            if isinstance(piece, Chunk):
                if piece.kind != "progress":
                    moments.append(time.monotonic())
                    counted += piece.tokens
            elif isinstance(piece, Done) and moments:
                usage = piece.usage
                ended = time.monotonic()
                written = usage.tokens_out or counted
                return BenchReply(begun, moments[0], moments[-1], ended, usage.tokens_in, written)
            else:
                raise CoreError(f"{work.model}: {getattr(piece, 'reason', '') or 'the reply was empty'}")
    except TimeoutError:
        raise CoreError(f"{work.model}: no token within {limit:g} s") from None
    except StopAsyncIteration:
        raise CoreError(f"{work.model}: the stream ended without its final record") from None
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
