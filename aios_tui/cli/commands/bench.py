"""`aios-tui bench`."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from aios_tui.cli.options import has_model_option, json_option, load_settings, settings_options, take_option


def _parse_streams(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    if value is None:
        return ()
    try:
        found = tuple(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        found = (0,)
    if not all(1 <= number <= 256 for number in found):
        raise click.BadParameter("numbers of streams, such as 1,2,4", ctx, param)
    return tuple(sorted(found))


@click.command()
@click.argument("which", metavar="[CORE]", required=False)
@click.option("--streams", callback=_parse_streams, metavar="N,N…", help="Requests in flight; 1,2,4 by default.")
@click.option("--tokens", type=click.IntRange(2, 100_000), default=64, metavar="N", help="Tokens per reply; 64.")
@click.option(
    "--prompt-tokens", type=click.IntRange(16, 150_000), default=128, metavar="N", help="Tokens per prompt, about; 128."
)
@click.option("--runs", type=click.IntRange(1, 1000), default=3, metavar="N", help="Runs at each number of streams; 3.")
@json_option("Print one JSON object.")
@settings_options("config", "core", "model", "log_level")
@click.pass_context
def bench(ctx: click.Context, /, which: str | None, **given: Any) -> int:
    """Measure a core: load time, time to first token, time per token, and tokens per second at 1, 2 and 4 streams.

    CORE is one of your cores, or a name that --core takes. The result is saved, and `replay --virtual --calibrate
    bench` uses it. To measure the load time, the model is unloaded once, if the server can do that.

    Exit codes: 0 measured, 1 stopped by a fault, 2 nothing was measured, 130 interrupted. What was measured is saved.
    """
    option = take_option("core")
    if which is not None and option is not None:
        raise click.UsageError("name the core once: as CORE, or with --core", ctx)
    from aios_tui.cli.runner.bench import BenchPlan, run_bench

    settings = load_settings().settings
    model = settings.model if has_model_option() else None
    return asyncio.run(run_bench(BenchPlan(settings, which or option or settings.core, model, **given)))
