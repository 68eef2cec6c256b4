"""Ends a command in order on SIGINT (ctrl-C) or SIGTERM.

A signal that the process ignored when it started stays ignored. A shell without job control starts background jobs with
SIGINT ignored, because the ctrl-C is meant for the foreground; SIGTERM ends those.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from aios_tui.cli.exit_codes import INTERRUPTED, TERMINATED

T = TypeVar("T")


class Interrupted(Exception):
    """A signal asked the command to stop."""


class Stopper(AbstractContextManager["Stopper"]):
    """Turn the first SIGINT or SIGTERM into an orderly end, and a SIGINT after it into an immediate one.

    Attributes:
        code: the exit code for the signal that came, None before one.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._loop = asyncio.get_running_loop()
        self._requested = asyncio.Event()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopper:
        for each in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(each) is not signal.SIG_IGN:
                self._previous[each] = signal.signal(each, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self.code is None:
            self.code = TERMINATED if number == signal.SIGTERM else INTERRUPTED
            if signal.SIGINT in self._previous:
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # the second ctrl-C kills; the history survives that
            self._loop.call_soon_threadsafe(self._requested.set)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`. When a signal comes first, cancel it and raise Interrupted."""
        running = asyncio.ensure_future(work)
        requested = asyncio.ensure_future(self._requested.wait())
        try:
            await asyncio.wait({running, requested}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                raise Interrupted
            return running.result()
        finally:
            running.cancel()
            requested.cancel()
            await asyncio.gather(running, requested, return_exceptions=True)
