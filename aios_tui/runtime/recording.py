"""What is submitted, written down as it comes: from a kernel's events to a workload file."""

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
"""Events that may wait for the recorder; it falls behind only while the loop is held up."""


class Recording:
    """Writes one kernel's accepted tasks, and what is done to them and to it, to `path`, from now until `stop`.

    When the file can't be written any more the recording is over by itself: `over` says so, and `stop` why.

    Raises:
        UsageError: the file can't be made, or is there already.
    """

    def __init__(self, kernel: Kernel, path: Path) -> None:
        self.path = path
        paused = kernel.state is not KernelState.RUNNING
        self._recorder = Recorder(
            path, kernel.now(), policy=kernel.policy.name, title="recorded from a session", paused=paused
        )
        self._subscription = kernel.subscribe(capacity=CAPACITY)
        self._pump = asyncio.create_task(self._follow(), name="recording")

    @property
    def tasks(self) -> int:
        """Tasks recorded so far."""
        return self._recorder.tasks

    @property
    def over(self) -> bool:
        """It has ended by itself: the kernel was stopped, or the file could not be written."""
        return self._pump.done()

    async def stop(self) -> None:
        """Take in what has come until now, and close the file. Raises UsageError when not all could be written."""
        self._subscription.close()
        try:
            await self._pump
        finally:
            self._recorder.close()

    def _take(self) -> None:
        if self._subscription.lost:
            raise UsageError(f"{self.path}: the recording fell behind and is not whole")
        self._recorder.feed(self._subscription.drain())

    async def _follow(self) -> None:
        subscription = self._subscription
        try:
            while True:
                await subscription.wait()
                self._take()
                if subscription.closed:
                    return
        except UsageError as error:
            log.warning("recording: %s", error)
            raise
        finally:
            subscription.close()
