"""A live replay as the console has it: one at a time, with the speeds that its keys go through."""

from __future__ import annotations

import math
from collections.abc import Callable

from aios_tui.console.state.replay_view import ReplayView
from aios_tui.reporting.run_store import plain_name
from engine.errors import UsageError
from engine.kernel import Kernel
from engine.replay.live import LiveReplay
from engine.replay.tables import Run
from engine.sanitise import one_line
from engine.workloads.reader import Workload

SPEEDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, math.inf)
AS_FAST = ("max", "inf")


class ReplayJob:
    """Plays `workload` into a kernel; see `LiveReplay`. `now` gives Unix seconds."""

    def __init__(
        self,
        kernel: Kernel,
        workload: Workload,
        *,
        speed: float,
        switches: bool,
        longest_prompt: int | None,
        now: Callable[[], float],
    ) -> None:
        self.file = workload.name
        self.name = plain_name(workload.name)
        self.stopped = False
        self._span = workload.items[-1].at if workload.items else 0.0
        self._now = now
        self._begun = now()
        self._total = len(workload.tasks)
        self._live = LiveReplay(
            kernel, workload, speed=speed, switches=switches, pauses=switches, longest_prompt=longest_prompt
        )

    @property
    def view(self) -> ReplayView:
        """How far it is."""
        live = self._live
        progress = live.progress
        return ReplayView(
            self.name,
            self._total,
            progress.sent,
            progress.ended,
            progress.failed,
            max(0.0, self._now() - self._begun),
            progress.position,
            self._span,
            live.speed,
            progress.paused,
        )

    async def run(self) -> Run:
        """Play it to its end, or until `stop`. Raises AiosError."""
        return await self._live.run()

    def result(self) -> Run:
        """What has been measured so far."""
        return self._live.result()

    def toggle(self) -> bool:
        """Pause, or go on; returns whether it is paused now."""
        if self._live.progress.paused:
            self._live.resume()
            return False
        self._live.pause()
        return True

    def step(self) -> None:
        """Send what comes next, now, and pause."""
        self._live.pause()
        self._live.step()

    def change_speed(self, steps: int) -> float:
        """Go so many places up or down in SPEEDS; returns the speed."""
        speed = self._live.speed
        if steps > 0:
            self._live.speed = next((each for each in SPEEDS if each > speed), SPEEDS[-1])
        else:
            self._live.speed = next((each for each in reversed(SPEEDS) if each < speed), speed)
        return self._live.speed

    def stop(self) -> None:
        """Send no more and wait no longer."""
        self.stopped = True
        self._live.stop()


def speed_of(text: str) -> float:
    """A speed as it is typed: `2`, `2x`, `0.5×`, `max`. Raises UsageError."""
    plain = text.strip().lower().removesuffix("x").removesuffix("×").strip()
    if plain in AS_FAST or text.strip().lower() in AS_FAST:
        return math.inf
    try:
        speed = float(plain)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise UsageError(f"{one_line(text, 20)!r} is no speed: a number above 0, or max")
    return speed
