"""What goes on in the background for workloads: a live replay, and a recording."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from aios_tui.console.state.replay_view import speed_text
from aios_tui.formatting import numbers
from engine.errors import AiosError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from aios_tui.console.jobs.replay import ReplayJob
    from engine.kernel import Kernel
    from engine.workloads.reader import Workload


async def end_broken_recording(app: ConsoleBase) -> None:
    """A recording is over by itself: close it, and say why. Raises UsageError."""
    try:
        await app.runtime.stop_recording()
    finally:
        app.redraw_header()


def start_replay(app: ConsoleBase, workload: Workload, *, speed: float, switches: bool) -> None:
    """Replay a workload into the running kernel, in the background."""
    from aios_tui.console.jobs.replay import ReplayJob

    replaying = ReplayJob(
        cast("Kernel", app.runtime.kernel),
        workload,
        speed=speed,
        switches=switches,
        longest_prompt=_longest_prompt(app),
        now=app.now,
    )
    app.replaying = replaying
    app.carry_out(partial(_play, app, replaying), group="replay")
    app.redraw_header()
    app.tell(f"replaying {replaying.name}: {tasks_words(len(workload.tasks))}, {speed_text(speed)}")


def _longest_prompt(app: ConsoleBase) -> int | None:
    """Half of the smallest context that a default model has, so that a reply fits beside a made-up prompt."""
    contexts = [
        model.context_length
        for core in app.view.cores.values()
        for model in core.models
        if model.context_length and model.name == core.default_model
    ]
    return max(16, min(contexts) // 2) if contexts else None


async def _play(app: ConsoleBase, replaying: ReplayJob) -> None:
    trouble: AiosError | None = None
    try:
        run = await replaying.run()
    except AiosError as error:
        trouble, run = error, replaying.result()
    finally:
        app.replaying = None
        app.redraw_header()
    if app.leaving:
        return
    view = replaying.view
    if len(run.tasks):
        complete = trouble is None and not replaying.stopped
        await app.runs.keep(replaying.file, run, at=app.now(), complete=complete)
    if trouble is not None:
        raise trouble
    app.bridge.flush()
    failed = f", {view.failed:,} not well" if view.failed else ""
    if replaying.stopped:
        app.tell(
            f"{view.name} stopped: {view.sent:,} of {tasks_words(view.total)} sent, which stay; c compares what ended"
        )
    else:
        app.tell(f"{view.name} ended: {tasks_words(view.ended)} in {numbers.took(view.elapsed)}{failed}; c compares it")


def recording_mark(app: ConsoleBase) -> tuple[str, int] | None:
    """The name and count of the recording for the header, None when nothing is recorded."""
    path = app.runtime.recording
    return None if path is None else (one_line(path.name.removesuffix(".jsonl"), 60), app.runtime.recorded)


def tasks_words(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"
