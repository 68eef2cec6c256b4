"""`aios-tui serve`: the kernel over HTTP, without a screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import INTERRUPTED
from aios_tui.cli.options import common, recording, serving, settings_of, take

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from aios_tui.cli.output import Output
    from aios_tui.cli.runner.headless import Stopper
    from aios_tui.config.settings import Settings
    from aios_tui.runtime.served import ServedRuntime


@click.command()
@recording
@serving
@common
@click.pass_context
def serve(ctx: click.Context, /, **_: Any) -> int:
    """Serve AIOS clients, and our own API, until interrupted. Tasks that an earlier run left are taken up.

    Running tasks are queued again when it is stopped, and go on at the next start.

    Exit codes: 2 it could not start, 130 interrupted, 143 terminated.
    """
    record = take(ctx, "record")
    settings = settings_of(ctx).settings
    from aios_tui.runtime.served import open_sockets

    return asyncio.run(_serve(settings, open_sockets(settings), record))


async def _serve(settings: Settings, sockets: list[socket.socket], record: Path | None) -> int:
    from aios_tui.cli.output import Output
    from aios_tui.cli.runner.headless import Interrupted, Stopper
    from aios_tui.runtime.served import ServedRuntime

    runtime = ServedRuntime(settings, sockets)
    runtime.record_to = record
    out = Output()
    with Stopper() as stopper:
        try:
            await runtime.open()
            for problem in runtime.agent_problems:
                out.say(problem)
            await _until_stopped(runtime, stopper, out)
        except Interrupted:
            left = runtime.kernel.running_count if hasattr(runtime, "kernel") else 0
            out.say(f"stopping{f'; {left} running go back to the queue' if left else ''}")
            return stopper.code or INTERRUPTED
        finally:
            await runtime.close()
    return 0


async def _until_stopped(runtime: ServedRuntime, stopper: Stopper, out: Output) -> None:
    """Serve, and tell what the operator should know. Raises Interrupted, in the end."""
    recovery = await stopper.unless(runtime.start())
    for line in runtime.describe_cores():
        out.say(line)
    if recovery.queued:
        out.say(f"{len(recovery.queued)} left by an earlier run, {len(recovery.interrupted)} of them interrupted")
    url = await stopper.unless(runtime.serving())
    out.say(f"serving at {url}, policy {runtime.kernel.policy.name}; its API is described at {url}/docs")
    await stopper.unless(_tell_notices(runtime, out))


async def _tell_notices(runtime: ServedRuntime, out: Output) -> None:
    from engine.events import Notice

    async for event in runtime.kernel.subscribe():
        if isinstance(event, Notice) and event.level != "info":
            out.say(event.text)
