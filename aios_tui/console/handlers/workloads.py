"""What the actions on workloads do: choosing and replaying one, recording one, comparing runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

from aios_tui.console.actions import ActionContext
from aios_tui.console.state.replay_view import speed_text
from engine.errors import UsageError
from engine.wording import plural

if TYPE_CHECKING:
    from pathlib import Path

    from aios_tui.console.app_base import ConsoleBase

Operation = Callable[["ConsoleBase", ActionContext], Awaitable[None] | None]


def _workloads(app: ConsoleBase, _: ActionContext) -> None:
    from aios_tui.console.screens.workloads import WorkloadScreen

    if not isinstance(app.screen, WorkloadScreen):  # a comparison that was left may have come from one
        app.push_screen(WorkloadScreen(app.workloads_folder))


def _compare(app: ConsoleBase, _: ActionContext) -> None:
    from aios_tui.console.screens.compare import CompareScreen

    app.push_screen(CompareScreen())


# Recording


async def _record(app: ConsoleBase, _: ActionContext) -> None:
    runtime = app.runtime
    if runtime.recording is not None:
        count = runtime.recorded
        try:
            path = await runtime.stop_recording()
        finally:
            app.redraw_header()
        app.tell(f"recorded {plural(count, 'task')} to {_file(path)}")
        return
    from aios_tui.workloads.catalogue import recording_name

    folder = app.workloads_folder
    if folder is None:
        raise UsageError("there is no folder for workloads")
    path = recording_name(folder, datetime.fromtimestamp(app.now()).astimezone())
    await runtime.record(path)
    app.redraw_header()
    app.tell(f"recording to {path.name}; R again ends it, w lists it")


def _file(path: Path | None) -> str:
    """A file's name and folder, the name first: it is what is seen where there is little room."""
    return "a file" if path is None else f"{path.name} in {path.parent}"


def _toggle(app: ConsoleBase, _: ActionContext) -> None:
    if app.replaying is not None:
        paused = app.replaying.toggle()
        app.tell(
            "the replay is paused: nothing more arrives; what was sent goes on" if paused else "the replay goes on"
        )
        app.redraw_header()


def _step(app: ConsoleBase, _: ActionContext) -> None:
    if app.replaying is not None:
        app.replaying.step()
        app.tell("the next arrival, now; the replay is paused")
        app.redraw_header()


def _speed(steps: int) -> Operation:
    def change(app: ConsoleBase, _: ActionContext) -> None:
        if app.replaying is not None:
            app.tell(f"replay speed: {speed_text(app.replaying.change_speed(steps))}")
            app.redraw_header()

    return change


def _stop(app: ConsoleBase, _: ActionContext) -> None:
    if app.replaying is not None:
        app.replaying.stop()


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
