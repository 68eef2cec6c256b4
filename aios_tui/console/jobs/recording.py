"""A recording of submitted tasks, as the console shows and ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase


async def end_broken_recording(app: ConsoleBase) -> None:
    """Close a recording that ended by itself. Raises UsageError with the reason."""
    try:
        await app.runtime.stop_recording()
    finally:
        app.redraw_header()


def recording_mark(app: ConsoleBase) -> tuple[str, int] | None:
    """Return the name and task count of the recording for the header; None when nothing is recorded."""
    path = app.runtime.recording
    return None if path is None else (one_line(path.name.removesuffix(".jsonl"), 60), app.runtime.recorded)
