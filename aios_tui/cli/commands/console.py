"""`aios-tui` without a command: the console."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aios_tui.cli.exit_codes import USAGE
from aios_tui.cli.options import given_options, load_settings, take_option
from aios_tui.cli.output import has_terminal, print_error

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from aios_tui.config.settings import Settings


def open_console(listen: int | None = None) -> int:
    """Open the console, serving HTTP clients on port `listen` (-1: the setting's) if given. Returns the exit code."""
    if listen is not None and listen >= 0:
        given_options()["port"] = listen
    record = take_option("record")
    settings = load_settings().settings
    if not has_terminal():
        print_error("the console needs a terminal; for scripts there is `aios-tui run`")
        return USAGE
    sockets = []
    if listen is not None:
        from aios_tui.runtime.served import open_sockets

        sockets = open_sockets(settings)  # before any screen: a port in use is one line on stderr
    return asyncio.run(_run_console(settings, sockets, record))


async def _run_console(settings: Settings, sockets: list[socket.socket], record: Path | None) -> int:
    from aios_tui.config import paths
    from aios_tui.console.app import run_console
    from aios_tui.console.preferences import Preferences
    from aios_tui.reporting.run_store import Runs
    from aios_tui.runtime.served import ServedRuntime

    runtime = ServedRuntime(settings, sockets)
    runtime.record_to = record
    try:
        await runtime.open()  # before any screen: a history in use or broken is one line on stderr
        return await run_console(
            runtime,
            preferences=Preferences(paths.state_folder() / "console.json"),
            themes_folder=settings.themes_folder,
            workloads_folder=settings.workloads_folder,
            runs=Runs(runtime),
            theme=settings.theme,
        )
    finally:
        await runtime.close()
