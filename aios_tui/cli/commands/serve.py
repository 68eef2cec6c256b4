"""`aios-tui serve`: the kernel over HTTP, without a screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from aios_tui.cli.exit_codes import INTERRUPTED, OK
from aios_tui.cli.options import load_settings, record_option, serving_options, settings_options, take_option
from aios_tui.cli.output import print_note

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from aios_tui.cli.runner.signals import Stopper
    from aios_tui.config.settings import Settings
    from aios_tui.runtime.served import ServedRuntime


@click.command()
@record_option
@serving_options
@settings_options("config", "db", "core", "model", "policy", "slots", "log_level")
def serve() -> int:
    """Serve AIOS clients and the program's own API over HTTP, until interrupted.

    Tasks that an earlier process left are resumed. When the service stops, running tasks go back to the queue, and the
    next start resumes them.

    Exit codes: 2 it could not start, 130 interrupted, 143 stopped by SIGTERM.
    """
    record = take_option("record")
    settings = load_settings().settings
    from aios_tui.runtime.served import open_sockets

    return asyncio.run(_serve(settings, open_sockets(settings), record))


async def _serve(settings: Settings, sockets: list[socket.socket], record: Path | None) -> int:
    from aios_tui.cli.runner.signals import Interrupted, Stopper
    from aios_tui.runtime.served import ServedRuntime

    runtime = ServedRuntime(settings, sockets)
    runtime.record_to = record
    with Stopper() as stopper:
        try:
            await runtime.open()
            for problem in runtime.agent_problems:
                print_note(problem)
            await _serve_until_stopped(runtime, stopper)
        except Interrupted:
            left = runtime.kernel.running_count if hasattr(runtime, "kernel") else 0
            print_note(f"stopping{f'; {left} running go back to the queue' if left else ''}")
            return stopper.code or INTERRUPTED
        finally:
            await runtime.close()
    return OK


async def _serve_until_stopped(runtime: ServedRuntime, stopper: Stopper) -> None:
    """Serve, and print what the operator should know. Raises Interrupted at the end."""
    recovery = await stopper.run(runtime.start())
    for line in runtime.describe_cores():
        print_note(line)
    if recovery.queued:
        print_note(f"{len(recovery.queued)} left by an earlier run, {len(recovery.interrupted)} of them interrupted")
    url = await stopper.run(runtime.serving())
    print_note(f"serving at {url}, policy {runtime.kernel.policy.name}; its API is described at {url}/docs")
    await stopper.run(_print_notices(runtime))


async def _print_notices(runtime: ServedRuntime) -> None:
    from engine.events import Notice

    async for event in runtime.kernel.subscribe():
        if isinstance(event, Notice) and event.level != "info":
            print_note(event.text)
