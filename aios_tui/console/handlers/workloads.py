"""The handlers of the workload actions: choose, replay, record and compare."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

from aios_tui.console.action_context import ActionContext
from aios_tui.console.state.replay_view import speed_text
from engine.errors import UsageError
from engine.wording import plural

if TYPE_CHECKING:
    from pathlib import Path

    from aios_tui.console.app_base import ConsoleBase

Operation = Callable[["ConsoleBase", ActionContext], Awaitable[None] | None]


def _open_workloads(app: ConsoleBase, _: ActionContext) -> None:
    from aios_tui.console.screens.workloads import WorkloadScreen

    if not isinstance(app.screen, WorkloadScreen):  # the comparison may have been opened from one
        app.push_screen(WorkloadScreen(app.workloads_folder))


# Recording and replay


async def _start_or_stop_recording(app: ConsoleBase, _: ActionContext) -> None:
    runtime = app.runtime
    if runtime.recording is not None:
        count = runtime.recorded
        path = await app.stop_recording()
        app.notify(f"recorded {plural(count, 'task')} to {_name_and_folder(path)}")
        return
    from aios_tui.workloads.catalogue import recording_name

    folder = app.workloads_folder
    if folder is None:
        raise UsageError("no workloads folder is set")
    path = recording_name(folder, datetime.fromtimestamp(app.now()).astimezone())
    await runtime.record(path)
    app.redraw_header()
    app.notify(f"recording to {path.name}; R again stops, w lists the file")


def _name_and_folder(path: Path | None) -> str:
    """A file's name and folder, the name first: it is still visible where there is little room."""
    return "a file" if path is None else f"{path.name} in {path.parent}"


def _pause_replay(app: ConsoleBase, _: ActionContext) -> None:
    if app.replaying is not None:
        paused = app.replaying.toggle()
        app.notify("replay paused: no task arrives, tasks already sent run on" if paused else "replay resumed")
        app.redraw_header()


def _send_next_arrival(app: ConsoleBase, _: ActionContext) -> None:
    if app.replaying is not None:
        app.replaying.step()
        app.notify("sent the next arrival; the replay is paused")
        app.redraw_header()


def _change_speed(steps: int) -> Operation:
    def change(app: ConsoleBase, _: ActionContext) -> None:
        if app.replaying is not None:
            app.notify(f"replay speed: {speed_text(app.replaying.change_speed(steps))}")
            app.redraw_header()

    return change


def _stop_replay(app: ConsoleBase, _: ActionContext) -> None:
    if app.replaying is not None:
        app.replaying.stop()


OPERATIONS: dict[str, Operation] = {
    "workloads": _open_workloads,
    "record": _start_or_stop_recording,
    "replay_pause": _pause_replay,
    "replay_step": _send_next_arrival,
    "replay_slower": _change_speed(-1),
    "replay_faster": _change_speed(+1),
    "replay_stop": _stop_replay,
}
