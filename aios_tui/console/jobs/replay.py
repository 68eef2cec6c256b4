"""A live replay into the console's kernel, one at a time.

This imports the replay engine, so callers import it when a replay starts, not when the console does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from aios_tui.console.state.replay_view import ReplayView, speed_text
from aios_tui.formatting import numbers
from aios_tui.reporting.run_store import plain_name
from engine.errors import AiosError, UsageError
from engine.kernel import Kernel
from engine.replay.live import LiveReplay
from engine.replay.tables import Run
from engine.sanitise import one_line
from engine.wording import plural
from engine.workloads.reader import Workload

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase

SPEEDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, math.inf)
UNLIMITED = ("max", "inf")


class ReplayJob:
    """Replays `workload` into a kernel; see `LiveReplay`. `now` returns Unix seconds."""

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
        self._started_at = now()
        self._total = len(workload.tasks)
        self._live = LiveReplay(
            kernel, workload, speed=speed, switches=switches, pauses=switches, longest_prompt=longest_prompt
        )

    @property
    def view(self) -> ReplayView:
        """The progress, for drawing."""
        live = self._live
        progress = live.progress
        return ReplayView(
            self.name,
            self._total,
            progress.sent,
            progress.ended,
            progress.failed,
            max(0.0, self._now() - self._started_at),
            progress.position,
            self._span,
            live.speed,
            progress.paused,
        )

    async def run(self) -> Run:
        """Replay to the end, or until `stop`. Raises AiosError."""
        return await self._live.run()

    def result(self) -> Run:
        """Return what has been measured so far."""
        return self._live.result()

    def toggle(self) -> bool:
        """Pause or resume; returns True if it is paused now."""
        if self._live.progress.paused:
            self._live.resume()
            return False
        self._live.pause()
        return True

    def step(self) -> None:
        """Send the next task now, and pause."""
        self._live.pause()
        self._live.step()

    def change_speed(self, steps: int) -> float:
        """Move `steps` entries up or down in SPEEDS; returns the new speed."""
        speed = self._live.speed
        if steps > 0:
            self._live.speed = next((each for each in SPEEDS if each > speed), SPEEDS[-1])
        else:
            self._live.speed = next((each for each in reversed(SPEEDS) if each < speed), speed)
        return self._live.speed

    def stop(self) -> None:
        """Send no more tasks, and stop waiting for those sent."""
        self.stopped = True
        self._live.stop()


def speed_of(text: str) -> float:
    """Parse a speed: `2`, `2x`, `0.5×`, `max`. Raises UsageError."""
    plain = text.strip().lower().removesuffix("x").removesuffix("×").strip()
    if plain in UNLIMITED or text.strip().lower() in UNLIMITED:
        return math.inf
    try:
        speed = float(plain)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise UsageError(f"{one_line(text, 20)!r} is not a speed: give a number above 0, or max")
    return speed


def start_replay(app: ConsoleBase, workload: Workload, *, speed: float, switches: bool) -> None:
    """Replay a workload into the running kernel, in the background."""
    job = ReplayJob(
        cast("Kernel", app.runtime.kernel),
        workload,
        speed=speed,
        switches=switches,
        longest_prompt=_longest_prompt(app),
        now=app.now,
    )
    app.replaying = job
    app.carry_out(partial(_run, app, job), group="replay")
    app.redraw_header()
    app.notify(f"replaying {job.name}: {plural(len(workload.tasks), 'task')}, {speed_text(speed)}")


def _longest_prompt(app: ConsoleBase) -> int | None:
    """Return half of the smallest context of a default model, so that a reply fits beside a synthetic prompt."""
    contexts = [
        model.context_length
        for core in app.view.cores.values()
        for model in core.models
        if model.context_length and model.name == core.default_model
    ]
    return max(16, min(contexts) // 2) if contexts else None


async def _run(app: ConsoleBase, job: ReplayJob) -> None:
    """Run a replay, store its run and show the outcome. Raises AiosError."""
    failure: AiosError | None = None
    try:
        run = await job.run()
    except AiosError as error:
        failure, run = error, job.result()
    finally:
        app.replaying = None
        app.redraw_header()
    if app.leaving:
        return
    view = job.view
    if len(run.tasks):
        await app.runs.keep(job.file, run, at=app.now(), complete=failure is None and not job.stopped)
    if failure is not None:
        raise failure
    app.bridge.flush()
    total, ended = plural(view.total, "task"), plural(view.ended, "task")
    if job.stopped:
        app.notify(f"{view.name} stopped: {view.sent:,} of {total} sent; they keep running. c compares the ended ones")
    else:
        failed = f", {view.failed:,} failed" if view.failed else ""
        app.notify(f"{view.name} ended: {ended} in {numbers.took(view.elapsed)}{failed}; c compares it")
