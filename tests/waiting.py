"""Waiting in tests: for a condition, never for a time, and patient enough for a machine ten times slower.

A test that fails because something took long says nothing about the program. So nothing here bounds how fast a thing
must be; `PATIENCE_S` only says from when on it counts as hung. Pass what is awaited: it is all that a failure shows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

PATIENCE_S = 120.0
"""The longest wait in seconds before a test gives up. What a quiet machine takes 10 s for fits with room to spare."""

_POLL_S = 0.01
_EAGER_STEPS = 50


def wait_until(condition: Callable[[], object], what: str = "", *, patience_s: float = PATIENCE_S) -> None:
    """Block until `condition` holds.

    Raises:
        AssertionError: it does not within `patience_s`; the message names `what`.
    """
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(_hung(what, patience_s))
        time.sleep(_POLL_S)


async def until(condition: Callable[[], object], what: str = "", *, patience_s: float = PATIENCE_S) -> None:
    """Let the event loop run until `condition` holds. The first checks follow each other without a pause.

    Raises:
        AssertionError: it does not within `patience_s`; the message names `what`.
    """
    deadline = time.monotonic() + patience_s
    steps = 0
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(_hung(what, patience_s))
        await asyncio.sleep(0 if steps < _EAGER_STEPS else _POLL_S)
        steps += 1


@asynccontextmanager
async def within(what: str, *, patience_s: float = PATIENCE_S) -> AsyncIterator[None]:
    """Limit a block of awaits, like `asyncio.timeout`, with a message that names what was awaited.

    Raises:
        AssertionError: the block does not end within `patience_s`.
    """
    limit = asyncio.timeout(patience_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise AssertionError(_hung(what, patience_s)) from None


def _hung(what: str, patience_s: float) -> str:
    return f"waited {patience_s:g} s in vain" + (f" for {what}" if what else "")
