"""What the actions on workloads do: choosing and replaying one, recording one, comparing runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, cast

from aios_tui.actions import Situation
from aios_tui.replay_view import speed_words
from aios_tui.widgets import words
from engine.errors import AiosError, UsageError
from engine.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from aios_tui.app import ConsoleApp
    from aios_tui.replaying import Replaying
    from engine.kernel import Kernel
    from engine.workloads.reader import Workload

Operation = Callable[["ConsoleApp", Situation], Awaitable[None] | None]


def _workloads(app: ConsoleApp, _: Situation) -> None:
    from aios_tui.screens.workloads import WorkloadScreen

    if not isinstance(app.screen, WorkloadScreen):  # a comparison that was left may have come from one
        app.push_screen(WorkloadScreen(app.workloads_folder))


def _compare(app: ConsoleApp, _: Situation) -> None:
    compare(app)


def compare(app: ConsoleApp, marked: Sequence[int] = ()) -> None:
    """Open the comparison, with these runs marked."""
    from aios_tui.screens.compare import CompareScreen

    app.push_screen(CompareScreen(marked))


# Recording


async def _record(app: ConsoleApp, _: Situation) -> None:
    session = app.session
    if session.recording is not None:
        count = session.recorded
        try:
            path = await session.stop_recording()
        finally:
            app.redraw_header()
        app.tell(f"recorded {_tasks(count)} to {_file(path)}")
        return
    from aios_tui.shelf import recording_name

    folder = app.workloads_folder
    if folder is None:
        raise UsageError("there is no folder for workloads")
    path = recording_name(folder, datetime.fromtimestamp(app.now()).astimezone())
    await session.record(path)
    app.redraw_header()
    app.tell(f"recording to {path.name}; R again ends it, w lists it")


def _file(path: Path | None) -> str:
    """A file's name and folder, the name first: it is what is seen where there is little room."""
    return "a file" if path is None else f"{path.name} in {path.parent}"


async def end_broken_recording(app: ConsoleApp) -> None:
    """A recording is over by itself: close it, and say why. Raises UsageError."""
    try:
        await app.session.stop_recording()
    finally:
        app.redraw_header()


# Replaying


def start_replay(app: ConsoleApp, workload: Workload, *, speed: float, switches: bool) -> None:
    """Replay a workload into the running kernel, in the background."""
    from aios_tui.replaying import Replaying

    replaying = Replaying(
        cast("Kernel", app.session.kernel),
        workload,
        speed=speed,
        switches=switches,
        longest_prompt=_longest_prompt(app),
        now=app.now,
    )
    app.replaying = replaying
    app.carry_out(partial(_play, app, replaying), group="replay")
    app.redraw_header()
    app.tell(f"replaying {replaying.name}: {_tasks(len(workload.tasks))}, {speed_words(speed)}")


def _longest_prompt(app: ConsoleApp) -> int | None:
    """Half of the smallest context that a default model has, so that a reply fits beside a made-up prompt."""
    contexts = [
        model.context_length
        for core in app.view.cores.values()
        for model in core.models
        if model.context_length and model.name == core.default_model
    ]
    return max(16, min(contexts) // 2) if contexts else None


async def _play(app: ConsoleApp, replaying: Replaying) -> None:
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
        app.tell(f"{view.name} stopped: {view.sent:,} of {_tasks(view.total)} sent, which stay; c compares what ended")
    else:
        app.tell(f"{view.name} ended: {_tasks(view.ended)} in {words.took(view.elapsed)}{failed}; c compares it")


def _toggle(app: ConsoleApp, _: Situation) -> None:
    if app.replaying is not None:
        paused = app.replaying.toggle()
        app.tell(
            "the replay is paused: nothing more arrives; what was sent goes on" if paused else "the replay goes on"
        )
        app.redraw_header()


def _step(app: ConsoleApp, _: Situation) -> None:
    if app.replaying is not None:
        app.replaying.step()
        app.tell("the next arrival, now; the replay is paused")
        app.redraw_header()


def _speed(steps: int) -> Operation:
    def change(app: ConsoleApp, _: Situation) -> None:
        if app.replaying is not None:
            app.tell(f"replay speed: {speed_words(app.replaying.change_speed(steps))}")
            app.redraw_header()

    return change


def _stop(app: ConsoleApp, _: Situation) -> None:
    if app.replaying is not None:
        app.replaying.stop()


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"


def recording_mark(app: ConsoleApp) -> tuple[str, int] | None:
    """The name and count of the recording for the header, None when nothing is recorded."""
    path = app.session.recording
    return None if path is None else (one_line(path.name.removesuffix(".jsonl"), 60), app.session.recorded)


OPERATIONS: dict[str, Operation] = {
    "workloads": _workloads,
    "record": _record,
    "compare": _compare,
    "replay_pause": _toggle,
    "replay_step": _step,
    "replay_slower": _speed(-1),
    "replay_faster": _speed(+1),
    "replay_stop": _stop,
}
