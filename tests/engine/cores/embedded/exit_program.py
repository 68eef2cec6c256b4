"""A program that leaves Python while the embedded model generates, each time in another way: `… WAY`.

It prints `generating` once the model is at it. `test_embedded_exit` runs it and looks at how it ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from engine.cores.embedded.core import EmbeddedCore
from engine.cores.port import Attempt, Chunk, Message, Outcome
from engine.task import GenerationOptions

ESSAY = "Write a long essay about the history of the sea."
LONG_READ = "the red fox and the blue cat " * 250  # some 1,800 tokens: fifteen seconds of reading


async def begin(prompt: str, kind: str) -> AsyncIterator[Chunk | Outcome]:
    """Start a core and an attempt, return when the first chunk of that kind has come. Nothing is cleaned up."""
    core = EmbeddedCore()
    await core.start()
    attempt = Attempt(1, 1, 1, (Message("user", prompt),), options=GenerationOptions(max_tokens=1500))
    iterator = core.run(attempt, core.slots()[0])
    async for item in iterator:
        assert isinstance(item, Chunk), item
        if item.kind == kind:
            break
    print("generating", flush=True)
    return iterator


async def exit_in_the_loop(prompt: str, kind: str) -> None:
    await begin(prompt, kind)
    sys.exit(3)


async def go_on(begun: asyncio.Event) -> None:
    iterator = await begin(ESSAY, "text")
    begun.set()
    async for _ in iterator:
        pass


async def cancelled() -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(go_on(begun))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


def abandoned(prompt: str, kind: str) -> None:
    """The rudest way: the loop is neither closed nor does it run on, and the main thread just ends."""
    loop = asyncio.new_event_loop()
    kept.append(loop)
    kept.append(loop.run_until_complete(begin(prompt, kind)))


kept: list[object] = []

if __name__ == "__main__":
    match sys.argv[1]:
        case "exit":
            asyncio.run(exit_in_the_loop(ESSAY, "text"))
        case "exit-reading":
            asyncio.run(exit_in_the_loop(LONG_READ, "progress"))
        case "go-on":
            asyncio.run(go_on(asyncio.Event()))
        case "cancelled":
            asyncio.run(cancelled())
        case "abandoned":
            abandoned(ESSAY, "text")
        case "abandoned-reading":
            abandoned(LONG_READ, "progress")
        case way:
            sys.exit(f"unknown way {way}")
