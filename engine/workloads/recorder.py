"""Record a kernel's events as a workload file while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from engine.errors import UsageError
from engine.events import Event, KernelStateChanged, PolicyChanged, TaskAccepted, TaskEnded, TaskHeld, TaskReprioritised
from engine.files import PRIVATE_FILE, file_error
from engine.task import GenerationOptions, KernelState, TaskSpec, TaskState
from engine.workloads.format import ControlRow, Item, TaskRow, WorkloadHeader
from engine.workloads.writer import WorkloadWriter

_SAME = ("agent", "priority", "model", "client", "deadline", "input_tokens", "output_tokens", "query")
"""Fields of TaskRow that are copied from TaskSpec under the same name."""


def row_of(spec: TaskSpec, id: str, at: float) -> TaskRow:
    """Return the row that repeats a task."""
    return TaskRow(
        id=id,
        at=at,
        prompt=spec.prompt if spec.prompt.strip() else None,
        options=None if spec.options == GenerationOptions() else spec.options,
        **{name: getattr(spec, name) for name in _SAME},
    )


class Recorder:
    """Writes accepted tasks, and actions on them and on the kernel, to a file at once.

    The file survives a crash: without its end record it is still a valid workload. Feed it every event from
    `kernel.snapshot()` on; the policy in force is written as a switch at 0. Tasks accepted earlier are not recorded,
    nor are actions on them. A drain is recorded as a pause. Blocks for a short write.
    """

    def __init__(self, path: Path, at: float, *, policy: str, title: str = "recorded", paused: bool = False) -> None:
        """Create the file.

        Args:
            at: the start, Unix seconds on the kernel's clock.
            paused: dispatching is paused at the start.

        Raises:
            UsageError: the file can't be created, or exists.
        """
        self.path = path
        self._start = self._last = at
        self._policy = policy
        self._paused = paused
        self._alive: set[int] = set()  # recorded, and not ended
        try:
            self._file: IO[bytes] = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb")
        except OSError as error:
            raise UsageError(f"{path}: {file_error(error)}") from None
        self._writer = WorkloadWriter(self._file, WorkloadHeader().noting(what=title))
        self._write([ControlRow(at=0.0, policy=policy)])
        if paused:
            self._write([ControlRow(at=0.0, op="pause")])

    @property
    def tasks(self) -> int:
        """Tasks recorded so far."""
        return self._writer.tasks

    def feed(self, events: Iterable[Event]) -> None:
        """Record the events that belong in a workload; others are ignored.

        Raises:
            UsageError: the file can't be written.
        """
        self._write(item for event in events if (item := self._item(event)) is not None)

    def _item(self, event: Event) -> Item | None:
        """Return the event as a workload item; None when it is none."""
        match event:
            case TaskAccepted():
                self._alive.add(event.task)
                return row_of(event.spec, f"t{event.task}", self._offset(event.at))
            case PolicyChanged() if event.policy != self._policy:
                self._policy = event.policy
                return ControlRow(at=self._offset(event.at), policy=event.policy)
            case TaskReprioritised() | TaskHeld() | TaskEnded() if event.task in self._alive:
                return self._action_on_task(event)
            case KernelStateChanged() if event.state is not KernelState.STOPPED:
                paused = event.state is not KernelState.RUNNING
                if paused != self._paused:
                    self._paused = paused
                    return ControlRow(at=self._offset(event.at), op="pause" if paused else "resume")
        return None

    def _action_on_task(self, event: TaskReprioritised | TaskHeld | TaskEnded) -> ControlRow | None:
        at, name = self._offset(event.at), f"t{event.task}"
        match event:
            case TaskReprioritised():
                return ControlRow(at=at, op="priority", task=name, priority=event.priority)
            case TaskHeld():
                return ControlRow(at=at, op="hold" if event.held else "release", task=name)
        self._alive.discard(event.task)
        return ControlRow(at=at, op="cancel", task=name) if event.state is TaskState.CANCELLED else None

    def close(self) -> None:
        """Write the end record and close the file. Idempotent. Raises UsageError when it can't be written."""
        if self._file.closed:
            return
        try:
            with self._file:
                self._writer.finish()
        except OSError as error:
            raise UsageError(f"{self.path}: {file_error(error)}") from None

    def _offset(self, at: float) -> float:
        # Times in a workload never fall, whatever the order of the events.
        self._last = max(self._last, at)
        return round(self._last - self._start, 6)

    def _write(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                self._writer.write(item)
            self._file.flush()
        except OSError as error:
            raise UsageError(f"{self.path}: {file_error(error)}") from None
