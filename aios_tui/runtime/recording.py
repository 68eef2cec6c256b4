"""Record a kernel's submissions and controls to a workload file while it runs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from engine.errors import UsageError
from engine.kernel import Kernel
from engine.task import KernelState
from engine.workloads.recorder import Recorder

log = logging.getLogger(__name__)

CAPACITY = 1_000_000
"""Events kept for the recorder; it falls behind only while the loop is blocked."""


class Recording:
    """Writes one kernel's accepted tasks, and actions on them and on the kernel, to `path` from now until `stop`.

    A write error ends the recording: `over` becomes True, and `stop` raises the error.

    Raises:
        UsageError: the file can't be created, or exists.
    """

    def __init__(self, kernel: Kernel, path: Path) -> None:
        self.path = path
        paused = kernel.state is not KernelState.RUNNING
        self._recorder = Recorder(
            path, kernel.now(), policy=kernel.policy.name, title="recorded while running", paused=paused
        )
        self._subscription = kernel.subscribe(capacity=CAPACITY)
        self._pump = asyncio.create_task(self._follow(), name="recording")

    @property
    def tasks(self) -> int:
        """Tasks recorded so far."""
        return self._recorder.tasks

    @property
    def over(self) -> bool:
        """True once it has ended by itself: the kernel was stopped, or a write failed."""
        return self._pump.done()

    async def stop(self) -> None:
        """Write the events up to now and close the file. Raises UsageError when the file is incomplete."""
        self._subscription.close()
        try:
            await self._pump
        finally:
            self._recorder.close()

    def _write_events(self) -> None:
        if self._subscription.lost:
            raise UsageError(f"{self.path}: the recording fell behind and is incomplete")
        self._recorder.feed(self._subscription.drain())

    async def _follow(self) -> None:
        subscription = self._subscription
        try:
            while True:
                await subscription.wait()
                self._write_events()
                if subscription.closed:
                    return
        except UsageError as error:
            log.warning("recording: %s", error)
            raise
        finally:
            subscription.close()
