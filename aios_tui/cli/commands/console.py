"""`aios-tui` without a command: the console."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from aios_tui.cli.exit_codes import USAGE
from aios_tui.cli.options import settings_of, take
from aios_tui.cli.output import has_terminal

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from aios_tui.config.settings import Settings


def console(ctx: click.Context, listen: int | None = None) -> int:
    """Open the console, which serves HTTP clients on port `listen` too (-1: the one in the settings)."""
    if listen is not None and listen >= 0:
        ctx.find_root().meta.setdefault("aios_tui.options", {})["port"] = listen
    record = take(ctx, "record")
    settings = settings_of(ctx).settings
    if not has_terminal():
        click.echo("aios-tui: the console needs a terminal; for scripts there is `aios-tui run`", err=True)
        return USAGE
    sockets = []
    if listen is not None:
        from aios_tui.runtime.served import open_sockets

        sockets = open_sockets(settings)  # before any screen: a port in use is one line on stderr
    return asyncio.run(_open(settings, sockets, record))


async def _open(settings: Settings, sockets: list[socket.socket], record: Path | None) -> int:
    from aios_tui.config import paths
    from aios_tui.console.app import run_console
    from aios_tui.console.preferences import Preferences
    from aios_tui.reporting.run_store import HistoryRuns
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
            runs=HistoryRuns(runtime),
            theme=settings.theme,
        )
    finally:
        await runtime.close()
