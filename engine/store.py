"""The store port: what the kernel needs of a history. Implemented by `persistence`, and here in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.events import Durable
from engine.task import Task


@dataclass(frozen=True, slots=True)
class Recovery:
    """What an earlier run of the program left.

    Attributes:
        queued: every task to be run, in order of arrival, state queued; the interrupted ones among them.
        interrupted: the ids of those that were running when the process died.
        failed: the ids of those that were interrupted too often, and are now failed with that reason.
    """

    queued: tuple[Task, ...] = ()
    interrupted: frozenset[int] = frozenset()
    failed: tuple[int, ...] = ()


class Store(Protocol):
    """A history that keeps durable events. Everything is written in the order in which it was given."""

    async def open(self) -> None:
        """Open, migrate and lock. Raises StoreError with one line when it can't be."""

    async def recover(self, *, max_interruptions: int) -> Recovery:
        """Take up what was left queued or running by runs that are over. Durable on return.

        Running tasks become queued again, their executing attempts `interrupted`, and each counts one more
        interruption; at `max_interruptions` the task is failed instead.
        """

    def next_task_id(self) -> int:
        """A task id not given before in this history."""

    async def load(self, task_id: int) -> Task | None:
        """One task as history has it, None when it is not there. Raises StoreError when it can't be read."""

    def append(self, event: Durable) -> None:
        """Have the event written, soon; does not wait and does not raise."""

    async def commit(self, events: Sequence[Durable]) -> None:
        """Have the events written, after all that was given before, in one transaction; return when they are durable.

        Raises:
            StoreError: acceptance could not be made durable; nothing of `events` is kept. Only batches of TaskAccepted
                fail so: all others stay pending, and the call goes on waiting, until the store can write again.
        """

    def on_trouble(self, told: Callable[[str | None], None]) -> None:
        """Call `told` with one line when writing fails, and with None when it works again."""

    async def close(self) -> None:
        """Write all that is pending and let go. Idempotent."""


class MemoryStore:
    """A store that keeps nothing beyond the process: for benchmarks, and for runs without a history."""

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

    def on_trouble(self, told: Callable[[str | None], None]) -> None:
        return

    async def close(self) -> None:
        return
