"""The store port: what the kernel needs from a history. Implemented by `persistence`, and here in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.events import Durable
from engine.task import Task


@dataclass(frozen=True, slots=True)
class Recovery:
    """The unfinished tasks of earlier runs of the program.

    Attributes:
        queued: all tasks to run, in order of arrival, in state queued; the interrupted ones among them.
        interrupted: ids of those that were running when the process died.
        failed: ids of tasks that have failed now: interrupted too often, or damaged in the history.
    """

    queued: tuple[Task, ...] = ()
    interrupted: frozenset[int] = frozenset()
    failed: tuple[int, ...] = ()


class Store(Protocol):
    """A history that stores durable events, in the order in which they are given."""

    async def open(self) -> None:
        """Open, migrate and lock the history. Raises StoreError, with one line."""

    async def recover(self, *, max_interruptions: int) -> Recovery:
        """Return the tasks that earlier runs left queued or running. Durable on return.

        Running tasks become queued again, their executing attempts `interrupted`, and each counts one more
        interruption; at `max_interruptions` the task fails instead.
        """

    def next_task_id(self) -> int:
        """A task id that was not given before in this history."""

    async def load(self, task_id: int) -> Task | None:
        """The task as the history has it; None if there is none. Raises StoreError if it can't be read."""

    def append(self, event: Durable) -> None:
        """Write the event soon; does not wait and does not raise."""

    async def commit(self, events: Sequence[Durable]) -> None:
        """Write the events in one transaction, after all earlier ones; return when they are durable.

        Raises:
            StoreError: acceptance could not be made durable, and none of `events` was stored. Only batches of
                TaskAccepted fail like that; others stay pending, and the call waits until the store can write again.
        """

    def on_write_error(self, listener: Callable[[str | None], None]) -> None:
        """Call `listener` with one line when writing fails, and with None when it works again."""

    async def close(self) -> None:
        """Write all pending events and release the history. Idempotent."""


class MemoryStore:
    """A store that stores nothing: for benchmarks and tests."""

    def __init__(self) -> None:
        self._last_id = 0

    async def open(self) -> None:
        return

    async def recover(self, *, max_interruptions: int) -> Recovery:
        return Recovery()

    def next_task_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def load(self, task_id: int) -> Task | None:
        return None

    def append(self, event: Durable) -> None:
        return

    async def commit(self, events: Sequence[Durable]) -> None:
        return

    def on_write_error(self, listener: Callable[[str | None], None]) -> None:
        return

    async def close(self) -> None:
        return
