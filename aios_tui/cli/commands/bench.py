"""`aios-tui bench`."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from aios_tui.cli.options import common, settings_of, take


def _streams(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
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
@click.argument("which", metavar="CORE", required=False)
@click.option("--streams", callback=_streams, metavar="N,N…", help="How many at a time; 1,2,4 if not given.")
@click.option("--tokens", type=click.IntRange(2, 100_000), default=64, metavar="N", help="Tokens of a reply; 64.")
@click.option(
    "--prompt-tokens",
    type=click.IntRange(16, 150_000),
    default=128,
    metavar="N",
    help="Tokens of a prompt, about; 128.",
)
@click.option("--runs", type=click.IntRange(1, 1000), default=3, metavar="N", help="Runs of each; 3.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common
@click.pass_context
def bench(ctx: click.Context, /, which: str | None, as_json: bool, **given: Any) -> int:
    """Measure a core: load time, time to first token, time per token, tokens per second at 1, 2 and 4 streams.

    CORE is one of your cores, or a form that --core takes. The result is kept, and `replay --virtual --calibrate
    bench` goes by it. The model is taken out of memory once, where the server can do that, to see how long it loads.

    Exit codes: 0 measured, 1 broken off by a fault, 2 nothing was measured, 130 interrupted; what was measured is kept.
    """
    option = take(ctx, "core")
    if which is not None and option is not None:
        raise click.UsageError("name the core once: as CORE, or with --core", ctx)
    from aios_tui.cli.runner.bench import BenchPlan, run_bench

    loaded = settings_of(ctx)
    settings = loaded.settings
    model = settings.model if loaded.origins.get("model", "").startswith("option") else None
    plan = BenchPlan(settings, which or option or settings.core, model, as_json=as_json, **given)
    return asyncio.run(run_bench(plan))
